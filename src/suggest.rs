//! "Did you mean": the nearest known word to one that was mistyped.

/// `"; did you mean X?"` where a known word is near, else the list of known words.
pub fn hint<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|word| (distance(typed, word), *word))
        .min();
    match nearest {
        Some((d, word)) if d <= 2.max(word.len() / 3) => format!("; did you mean {word}?"),
        _ => format!("; known are {}", known.join(", ")),
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("adam", "adam"), 0);
        assert_eq!(distance("adm", "adam"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn hints() {
        assert_eq!(hint("adma", ["sgd", "adam"]), "; did you mean adam?");
        assert_eq!(hint("xyzzy", ["sgd", "adam"]), "; known are sgd, adam");
    }
}
