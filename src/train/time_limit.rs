//! How long a run may take, as `--time` says it.

use std::time::Duration;

use crate::{Error, Result};

/// The units of `--time`, longest first, with their seconds.
const UNITS: [(char, f64); 4] = [('d', 86400.0), ('h', 3600.0), ('m', 60.0), ('s', 1.0)];

/// Reads `--time`, or what else `option` is: `60s`, `5m`, `1h30m`, `1.5h`, or seconds without a unit, `90`; in any case.
///
/// # Errors
/// [`Error::Usage`] for anything else, for no time at all, and for more than 1000 days.
pub fn parse_time(option: &str, text: &str) -> Result<Duration> {
    let refuse = |what: &str| {
        Error::Usage(format!(
            "{option} {text}: {what}\nwrite seconds, such as 90, or with units: 60s, 5m, 1h30m"
        ))
    };
    let mut rest = text.trim();
    let mut seconds = 0.0;
    // Units that may still follow.
    let mut units = &UNITS[..];
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let number: f64 = number
            .parse()
            .map_err(|_| refuse("a number and its unit are expected"))?;
        let mut letters = behind.chars();
        let scale = match letters.next().map(|c| c.to_ascii_lowercase()) {
            None if units.len() == UNITS.len() => 1.0,
            None => return Err(refuse("the last number has no unit")),
            Some(letter) => match units.iter().position(|(unit, _)| *unit == letter) {
                Some(ix) => {
                    let scale = units[ix].1;
                    units = &units[ix + 1..];
                    scale
                }
                None if UNITS.iter().any(|(unit, _)| *unit == letter) => {
                    return Err(refuse("longer units come first, each once"));
                }
                None => return Err(refuse("units are d, h, m and s")),
            },
        };
        seconds += number * scale;
        rest = letters.as_str();
    }
    if seconds <= 0.0 {
        return Err(refuse("that is no time at all"));
    }
    if seconds > 1000.0 * 86400.0 {
        return Err(refuse("that is more than 1000 days"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The inverse of [`parse_time`]: `1h30m`, `90.5s` as `1m30.5s`.
pub fn format_time(time: Duration) -> String {
    let (mut whole, mut text) = (time.as_secs(), String::new());
    for (unit, seconds) in &UNITS[..3] {
        let seconds = *seconds as u64;
        if whole >= seconds {
            text += &format!("{}{unit}", whole / seconds);
            whole %= seconds;
        }
    }
    let rest = whole as f64 + f64::from(time.subsec_nanos()) / 1e9;
    if rest > 0.0 || text.is_empty() {
        text += &format!("{rest}s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, written) in [
            ("90", 90.0, "1m30s"),
            ("60s", 60.0, "1m"),
            ("5m", 300.0, "5m"),
            ("1h30m", 5400.0, "1h30m"),
            (" 1H30M ", 5400.0, "1h30m"),
            ("1.5h", 5400.0, "1h30m"),
            ("0.25", 0.25, "0.25s"),
            ("2d1s", 172_801.0, "2d1s"),
            ("90m", 5400.0, "1h30m"),
        ] {
            let time = parse_time("--time", text).unwrap();
            assert_eq!(time, Duration::from_secs_f64(seconds), "{text}");
            assert_eq!(format_time(time), written);
            assert_eq!(parse_time("--time", written).unwrap(), time);
        }
        for (text, part) in [
            ("", "no time at all"),
            ("0", "no time at all"),
            ("0h", "no time at all"),
            ("-5", "a number and its unit"),
            ("abc", "a number and its unit"),
            ("5x", "units are d, h, m and s"),
            ("5 m", "units are d, h, m and s"),
            ("1h30", "the last number has no unit"),
            ("30m1h", "longer units come first"),
            ("5m5m", "longer units come first"),
            ("1.2.3s", "a number and its unit"),
            ("5mm", "a number and its unit"),
            ("9999999h", "more than 1000 days"),
            ("99999999999999999999999999999999", "more than 1000 days"),
        ] {
            let error = parse_time("--time", text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("--time {text}: ")) && error.contains(part),
                "{error}"
            );
        }
    }
}
