//! What one cell of a table holds.

/// A cell's content. Space around it does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Empty, or one of the usual words for it.
    Missing,
    /// As Rust reads an f64; it may be infinite.
    Number(f64),
    Text,
}

/// The words for a missing value, in any case. `nan` is also read as one by [`parse`].
const MISSING: [&str; 5] = ["na", "n/a", "nan", "null", "?"];

/// Reads one cell.
pub fn parse(cell: &[u8]) -> Cell {
    let cell = cell.trim_ascii();
    let Some(&first) = cell.first() else {
        return Cell::Missing;
    };
    // What a number can start with, "inf" and "nan" included.
    if first.is_ascii_digit() || b"+-.iInN".contains(&first) {
        let number = std::str::from_utf8(cell).ok().and_then(|s| s.parse().ok());
        match number {
            Some(number) if f64::is_nan(number) => return Cell::Missing,
            Some(number) => return Cell::Number(number),
            None => {}
        }
    }
    let missing = |word: &&str| cell.eq_ignore_ascii_case(word.as_bytes());
    if cell.len() <= 4 && MISSING.iter().any(missing) {
        return Cell::Missing;
    }
    Cell::Text
}

/// The cell as an error shows it: quoted, one line, cut where it is long.
pub fn show(cell: &[u8]) -> String {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(cell.trim_ascii());
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}

/// Whether the text is a number written with decimal commas or thousands separators: digits with
/// `,` or `'` between them, and perhaps points.
pub fn is_comma_number(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let mut chars = text.chars();
    digit(chars.next())
        && digit(chars.next_back())
        && text.contains([',', '\''])
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ',' | '\'' | '.'))
}

/// Whether the text is a date, a time of day, or both, in one of the usual forms: 2024-03-15,
/// 15.3.2024, 3/15/24, 15 Mar 2024, March 15, 2024, 12:30:05, 2024-03-15T12:30Z.
pub fn is_date(text: &str) -> bool {
    if is_time(text) || is_numeric_date(text) || is_named_date(text) {
        return true;
    }
    let with_time = |at: usize, skip: usize| {
        let (date, time) = (&text[..at], text[at + skip..].trim());
        (is_numeric_date(date) || is_named_date(date)) && is_time(time)
    };
    text.match_indices(['T', ' '])
        .any(|(at, mark)| with_time(at, mark.len()))
}

/// 2024-03-15, 2024/3/15, 2024-03, 15.03.2024, 3/15/2024, 15-3-24.
fn is_numeric_date(text: &str) -> bool {
    let Some(separator) = text.chars().find(|c| matches!(c, '-' | '/' | '.')) else {
        return false;
    };
    let parts: Vec<&str> = text.splitn(5, separator).collect();
    let digits = |part: &&str| matches!(part.len(), 1 | 2 | 4) && all_digits(part);
    if !parts.iter().all(digits) {
        return false;
    }
    let within = |part: &str, most: u32| part.parse().is_ok_and(|n: u32| (1..=most).contains(&n));
    let day_and_month = |a: &str, b: &str| {
        a.len() <= 2
            && b.len() <= 2
            && (within(a, 31) && within(b, 12) || within(a, 12) && within(b, 31))
    };
    match parts[..] {
        [year, month] => {
            year.len() == 4 && month.len() == 2 && separator == '-' && within(month, 12)
        }
        [year, a, b] if year.len() == 4 => day_and_month(a, b),
        [a, b, year] => year.len() >= 2 && day_and_month(a, b),
        _ => false,
    }
}

/// A month's name with a day, a year or both, and perhaps a weekday.
fn is_named_date(text: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    if text.len() > 40 || !text.bytes().any(|b| b.is_ascii_digit()) {
        return false;
    }
    let among = |word: &str, names: &[&str]| {
        word.len() >= 3 && names.iter().any(|name| name.starts_with(word))
    };
    let (mut months, mut numbers) = (0, 0);
    let lower = text.to_ascii_lowercase();
    for word in lower
        .split([' ', ',', '-', '/', '.'])
        .filter(|w| !w.is_empty())
    {
        let bare = ["st", "nd", "rd", "th"]
            .iter()
            .find_map(|end| word.strip_suffix(end))
            .unwrap_or(word);
        if among(word, &MONTHS) {
            months += 1;
        } else if matches!(bare.len(), 1 | 2 | 4) && all_digits(bare) {
            numbers += 1;
        } else if !among(word, &DAYS) {
            return false;
        }
    }
    months == 1 && (1..=2).contains(&numbers)
}

/// 12:30, 12:30:05.25, 1:30 PM, 12:30Z, 12:30:05+02:00.
fn is_time(text: &str) -> bool {
    let text = text.trim_end_matches(['Z', 'z']);
    let zone = |c: char| matches!(c, '+' | '-');
    let (text, zone_good) = match text.split_once(zone) {
        Some((time, zone)) => (time, zone.bytes().all(|b| b.is_ascii_digit() || b == b':')),
        None => (text, true),
    };
    let lower = text.to_ascii_lowercase();
    let half = ["am", "pm"]
        .iter()
        .find_map(|half| lower.strip_suffix(half));
    let clock = half.unwrap_or(&lower).trim_end();
    let parts: Vec<&str> = clock.splitn(4, ':').collect();
    let short = |part: &str| matches!(part.len(), 1 | 2) && all_digits(part);
    zone_good
        && match parts[..] {
            [hour, minute] => short(hour) && minute.len() == 2 && short(minute),
            [hour, minute, second] => {
                let whole = second
                    .split_once(['.', ','])
                    .map_or(
                        second,
                        |(whole, fraction)| {
                            if all_digits(fraction) { whole } else { "" }
                        },
                    );
                short(hour) && minute.len() == 2 && short(minute) && short(whole)
            }
            _ => false,
        }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rusts_own() {
        for (cell, want) in [
            ("1", 1.0),
            (" -2.5\t", -2.5),
            ("+.5e3", 500.0),
            ("1e-400", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(parse(cell.as_bytes()), Cell::Number(want), "{cell}");
        }
    }

    #[test]
    fn missing_words_in_any_case() {
        for cell in [
            "", "  ", "NA", "n/a", "NaN", "-nan", "NULL", "null", "?", " ? ",
        ] {
            assert_eq!(parse(cell.as_bytes()), Cell::Missing, "{cell:?}");
        }
        for cell in [
            "none", "nan1", "n", "-", "??", "0x1f", "1_000", "1,5", "1 2", "\u{ff11}",
        ] {
            assert_eq!(parse(cell.as_bytes()), Cell::Text, "{cell:?}");
        }
        assert_eq!(parse(b"1\xff"), Cell::Text);
    }

    #[test]
    fn comma_numbers() {
        for text in ["1,5", "1,234", "-1,234,567.8", "1.234,56", "1'000"] {
            assert!(is_comma_number(text), "{text}");
        }
        for text in [
            "", "1", "1.5", ",5", "5,", "a,5", "1,5 kg", ",", "é,1", "1,é",
        ] {
            assert!(!is_comma_number(text), "{text}");
        }
    }

    #[test]
    fn dates_and_times() {
        for text in [
            "2024-03-15",
            "2024/3/15",
            "2024-03",
            "15.03.2024",
            "3/15/2024",
            "15/3/24",
            "2024-03-15T12:30:05Z",
            "2024-03-15 12:30:05.123+02:00",
            "15.3.2024 8:05",
            "12:30",
            "1:30 PM",
            "15 Mar 2024",
            "15-Mar-24",
            "March 15, 2024",
            "Fri, 15 Mar 2024",
            "Fri, 15 Mar 2024 12:00:00",
            "March 3rd",
            "Sept 2020",
        ] {
            assert!(is_date(text), "{text}");
        }
        for text in [
            "",
            "red",
            "May",
            "Monday",
            "12-15",
            "1.2.3",
            "192.168.0.1",
            "2024-13-45",
            "a:b",
            "4:3:2:1",
            "route 66",
            "T",
            "2024-03-15Tx",
            "é T é",
            "0/0/2020",
            "1-2-3-4-5-6",
            "12:3",
            "mar",
            "x 12:30",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn cells_are_shown_short_and_on_one_line() {
        assert_eq!(show(b" a\nb "), r#""a\nb""#);
        assert_eq!(
            show("é".repeat(50).as_bytes()),
            format!("\"{}...\"", "é".repeat(40))
        );
    }
}
