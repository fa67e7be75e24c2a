//! Tests of the study's page.

use super::super::page::{SCRIPT, SCRIPT_HASH};
use super::*;
use crate::report::canvas::text::significant;
use crate::report::html::escape::base64;
use crate::report::html::tests::{HOSTILE, balanced, keep};
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::{Condition, Parameter, Space};

/// The page of a study with something in every section.
fn full(fake: &Fake, words: &str) -> String {
    let fact = |name, value| Fact { name, value };
    let study = Study {
        name: words,
        results: &[fact("test accuracy", "98.02 %"), fact("search time", words)],
        facts: &[fact("sampler", "tpe"), fact(words, words)],
        stopped: words,
        config: &format!("source = \"mnist\"\n# {words}\nlr = 0.0023\n"),
        commands: &["gpu-train train mnist --config best.toml", words],
        ..fake.study()
    };
    let page = page(&study, &charts(&study).expect("draws"));
    assert!(balanced(&page));
    page
}

#[test]
fn the_page_says_what_was_searched_and_found() {
    let fake = search(80);
    let page = full(&fake, "mnist-tune-3");
    keep("tune.html", &page);
    let study = fake.study();
    let view = View::new(&study);
    let best = view.winners[0];
    let lr = fake.trials[best].params["lr"];
    for words in [
        "<title>mnist-tune-3</title>",
        "<dt>best validation accuracy</dt><dd>97.96 %</dd>",
        &format!("<dt>in trial</dt><dd>{best}</dd>"),
        "the highest validation accuracy over 7 parameters in 80 trials: ",
        &format!("<th scope=\"row\">lr</th><td class=\"text\">{lr}</td>"),
        "source = &quot;mnist&quot;\n# mnist-tune-3\nlr = 0.0023</code></pre>",
        "<code>gpu-train train mnist --config best.toml\nmnist-tune-3</code>",
        "<td class=\"text\">log:1e-5..1.0</td>",
        "<td class=\"text\">opt is momentum or nesterov</td>",
        "<td>0.580</td>",
        &format!("<tr id=\"trial-{best}\" class=\"best\">"),
        "<th scope=\"col\" data-first=\"descending\">validation accuracy (%)</th>",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page, full(&fake, "mnist-tune-3"));
}

#[test]
fn folds_have_a_mean_and_a_deviation() {
    let mut fake = search(20);
    let best = View::new(&fake.study()).winners[0];
    let column = "<th scope=\"col\">deviation over folds</th>";
    assert!(!full(&fake, "one part").contains(column));
    for trial in &mut fake.trials {
        let noted = format!("{}", 0.004_5 + f64::from(trial.number) / 1e5);
        trial.user.insert("deviation".to_string(), noted);
    }
    let page = full(&fake, "five folds");
    let value = View::new(&fake.study())
        .value(&fake.trials[best], 0)
        .unwrap();
    let deviation = 0.45 + best as f64 / 1e3;
    for words in [
        column.to_string(),
        format!(
            "<dt>best validation accuracy, mean over folds</dt><dd>{} % ± {} %</dd>",
            significant(value),
            significant(deviation)
        ),
    ] {
        assert!(page.contains(&words), "{words}");
    }
    let complete = fake
        .trials
        .iter()
        .filter(|t| t.state == TrialState::Complete);
    for trial in complete {
        let cell = format!(
            ">{}</td>",
            significant(0.45 + f64::from(trial.number) / 1e3)
        );
        let row = page
            .split(&format!("<tr id=\"trial-{}\"", trial.number))
            .nth(1)
            .unwrap();
        assert!(row.split("</tr>").next().unwrap().contains(&cell), "{cell}");
    }
}

#[test]
fn every_trial_has_a_row_and_every_link_a_trial() {
    let fake = search(80);
    let page = full(&fake, "a study");
    for trial in &fake.trials {
        let row = format!("<tr id=\"trial-{}\"", trial.number);
        assert_eq!(page.matches(&row).count(), 1);
        let (_, rest) = page.split_once(&row).expect("a row");
        let (row, _) = rest.split_once("</tr>").expect("its end");
        assert_eq!(row.matches("<td").count(), 1 + 1 + 7 + 2, "{row}");
        let rate = format!("<td data-v=\"{}\">", trial.params["lr"]);
        assert!(row.contains(&rate), "the full value is kept");
    }
    let links = page.split("href=\"#").skip(1);
    let links: Vec<&str> = links
        .map(|rest| rest.split('"').next().unwrap_or(""))
        .collect();
    assert!(links.len() > 300);
    assert!(
        links
            .iter()
            .all(|link| page.contains(&format!("id=\"{link}\"")))
    );
    let front = full(&two_objectives(60), "two");
    keep("two.html", &front);
    assert!(front.contains("<h2>Pareto front</h2>\n<div class=\"wide trials\"><table>"));
    assert!(front.contains("the highest validation accuracy and the lowest model size over"));
}

#[test]
fn hostile_text_stays_text() {
    let mut fake = search(12);
    let choices = vec![Scalar::Text(HOSTILE.to_string()), Scalar::None];
    let mut second = fake.space.parameters()[1].clone();
    second.when = Some(Condition {
        parameter: HOSTILE.to_string(),
        any_of: choices[..1].to_vec(),
    });
    let first = Parameter {
        name: HOSTILE.to_string(),
        distribution: Distribution::Categorical { choices },
        when: None,
    };
    for trial in &mut fake.trials {
        super::fake::set(trial, &first, 0.0);
    }
    fake.space = Space::new(vec![first, second]).expect("a space");
    fake.importances = vec![(HOSTILE.to_string(), 1.0)];
    (fake.objectives[0].name, fake.objectives[0].unit) = (HOSTILE, HOSTILE);
    let page = full(&fake, HOSTILE);
    keep("hostile-study.html", &page);
    assert_eq!(page.matches("<script").count(), 1, "its own");
    assert_eq!(page.matches("<img").count(), 5);
    assert!(!page.contains("onerror=alert(1)>"));
    assert!(!page.contains("alert('x')") && page.contains("alert(&#39;x&#39;)"));
    assert!(!page.contains(['\u{202e}', '\0']));
}

#[test]
fn nothing_is_loaded_and_one_script_may_run() {
    let page = full(&search(30), "a study");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
    assert!(!page.contains("@import") && !page.contains("<link"));
    let sources = page.matches("src=").count();
    assert_eq!(
        sources,
        page.matches("src=\"data:image/png;base64,").count()
    );
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_HASH}'\">"
    );
    assert!(page.contains(&policy));
    assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
    assert_eq!(
        base64(&sha256(b"abc")),
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
    assert_eq!(base64(&sha256(SCRIPT.as_bytes())), SCRIPT_HASH);
}

/// FIPS 180-4, section 6.2. The constants are the fractions of roots of the first primes.
fn sha256(text: &[u8]) -> [u8; 32] {
    let primes: Vec<u64> = (2..312).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
    // 32 bits behind the point of a root, by bisection on whole numbers.
    let fraction = |prime: u64, power: u32| {
        let target = u128::from(prime) << (32 * power);
        let (mut low, mut high) = (0u128, 1 << 40);
        while high - low > 1 {
            let middle = (low + high) / 2;
            match middle.pow(power) <= target {
                true => low = middle,
                false => high = middle,
            }
        }
        low as u32
    };
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - text.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    let mut hash: Vec<u32> = primes[..8].iter().map(|p| fraction(*p, 2)).collect();
    for block in padded.chunks(64) {
        let words = block
            .chunks(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        let mut w: Vec<u32> = words.collect();
        for t in 16..64 {
            let (a, b) = (w[t - 15], w[t - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(
                s1.wrapping_add(w[t - 7])
                    .wrapping_add(s0)
                    .wrapping_add(w[t - 16]),
            );
        }
        let mut v = hash.clone();
        for t in 0..64 {
            let (a, e) = (v[0], v[4]);
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & v[5]) ^ (!e & v[6]);
            let added = [s1, choice, fraction(primes[t], 3), w[t]];
            let t1 = added.iter().fold(v[7], |sum, x| sum.wrapping_add(*x));
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        hash.iter_mut()
            .zip(v)
            .for_each(|(h, x)| *h = h.wrapping_add(x));
    }
    let bytes: Vec<u8> = hash.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().expect("32 bytes")
}
