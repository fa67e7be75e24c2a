//! Times as Optuna writes them: naive UTC in tables, ISO 8601 with the offset in a journal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: i64 = 86_400;

/// "2026-11-28 05:36:19.211611", in UTC.
pub fn naive_utc(time: SystemTime) -> String {
    text(time, ' ')
}

/// "2026-11-28T05:36:19.211611+00:00".
pub fn iso_utc(time: SystemTime) -> String {
    text(time, 'T') + "+00:00"
}

/// Reads what the two above write, with any offset, or with none as UTC. `None` for other texts and
/// for times before 1970.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix([' ', 'T'])?;
    let (clock, offset) = match rest.find(['+', '-', 'Z']) {
        Some(at) => rest.split_at(at),
        None => (rest, "Z"),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let micros: u32 = format!("{fraction:0<6.6}").parse().ok()?;
    let seconds =
        days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second
            - offset_seconds(offset)?;
    let since = Duration::new(seconds.try_into().ok()?, micros * 1000);
    Some(UNIX_EPOCH + since)
}

fn text(time: SystemTime, between: char) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as i64;
    let (year, month, day) = civil_from_days(seconds / SECONDS_A_DAY);
    let second = seconds % SECONDS_A_DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text.chars().next()? {
        'Z' => return Some(0),
        '-' => -1,
        _ => 1,
    };
    let [hours, minutes] = numbers(&text[1..], ':')?;
    Some(sign * (hours * 3600 + minutes * 60))
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let read: Option<Vec<i64>> = text.split(between).map(|part| part.parse().ok()).collect();
    read?.try_into().ok()
}

/// Days since 1970 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
/// algorithms": years begin in March, so that the leap day is the last).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Its inverse: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, micros: u32) -> SystemTime {
        UNIX_EPOCH + Duration::new(seconds, micros * 1000)
    }

    #[test]
    fn texts_of_times() {
        // `date -u -d @...`
        assert_eq!(
            naive_utc(at(1_795_844_179, 211_611)),
            "2026-11-28 05:36:19.211611"
        );
        assert_eq!(
            iso_utc(at(951_782_399, 5)),
            "2000-02-28T23:59:59.000005+00:00"
        );
        assert_eq!(naive_utc(at(951_782_400, 0)), "2000-02-29 00:00:00.000000");
        assert_eq!(
            naive_utc(at(4_107_542_400, 0)),
            "2100-03-01 00:00:00.000000"
        );
        assert_eq!(naive_utc(UNIX_EPOCH), "1970-01-01 00:00:00.000000");
    }

    #[test]
    fn texts_are_read() {
        let time = Some(at(1_795_844_179, 211_000));
        for text in [
            "2026-11-28 05:36:19.211",
            "2026-11-28 05:36:19.211000",
            "2026-11-28T05:36:19.211000+00:00",
            "2026-11-28T05:36:19.211Z",
            "2026-11-28T07:36:19.211000+02:00",
            "2026-11-27T23:06:19.211000-06:30",
        ] {
            assert_eq!(parse(text), time, "{text}");
        }
        assert_eq!(parse("2026-11-28 05:36:19"), Some(at(1_795_844_179, 0)));
        for text in [
            "",
            "2026-11-28",
            "28.11.2026 05:36:19",
            "2026-11-28 05:36",
            "infinity",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_returns() {
        for day in 0..146_097 {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day);
        }
    }
}
