//! Dates as XEP-0082 writes them.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// Writes a point in time as XEP-0082's DateTime, in UTC, in whole seconds.
///
/// `None` when the year has no four digits.
pub fn format_date(time: SystemTime) -> Option<String> {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok()?,
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).ok()?;
            -whole - i64::from(before.subsec_nanos() > 0)
        }
    };
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

/// Reads XEP-0082's DateTime, with or without a fraction, and its older form without hyphens.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.trim().split_once('T')?;
    let (year, month, day) = if date.len() == 8 {
        (date.get(..4)?, date.get(4..6)?, date.get(6..)?)
    } else {
        let mut parts = date.splitn(3, '-');
        (parts.next()?, parts.next()?, parts.next()?)
    };
    let year = number(year, 4, 0, 9999)?;
    let month = number(month, 2, 1, 12)?;
    let day = number(day, 2, 1, days_in(year, month))?;
    let hour = number(rest.get(..2)?, 2, 0, 24)?;
    let minute = number(rest.get(3..5)?, 2, 0, 59)?;
    let second = number(rest.get(6..8)?, 2, 0, 60)?;
    if rest.get(2..3)? != ":" || rest.get(5..6)? != ":" {
        return None;
    }
    let mut zone = rest.get(8..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let east = match zone {
        "" | "Z" => 0,
        _ => {
            let (sign, clock) = zone
                .strip_prefix('+')
                .map(|clock| (1, clock))
                .or_else(|| zone.strip_prefix('-').map(|clock| (-1, clock)))?;
            let (hours, minutes) = clock.split_once(':')?;
            sign * (number(hours, 2, 0, 14)? * 3600 + number(minutes, 2, 0, 59)? * 60)
        }
    };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second.min(59) - east;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

fn number(text: &str, digits: usize, least: i64, most: i64) -> Option<i64> {
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = text.parse().ok()?;
    (least..=most).contains(&value).then_some(value)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 of the Gregorian calendar. Years begin in March here, so that the leap day
/// is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + years + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_the_way_there_and_back() {
        for text in [
            "1969-07-21T02:56:15Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2026-11-21T04:20:00Z",
            "0001-01-01T00:00:00Z",
        ] {
            let time = parse_date(text).unwrap();
            assert_eq!(format_date(time).as_deref(), Some(text));
        }
    }

    #[test]
    fn offsets_fractions_and_the_older_form_are_read() {
        let expected = parse_date("1969-07-21T02:56:15Z");
        for text in [
            "1969-07-20T21:56:15-05:00",
            "1969-07-21T02:56:15.123Z",
            "19690721T02:56:15",
        ] {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "T",
            "1969-07-21",
            "1969-02-29T00:00:00Z",
            "1969-13-01T00:00:00Z",
            "1969-07-21T02:56Z",
            "1969-07-21T02:56:1éZ",
            "+969-07-21T02:56:15Z",
            "1969-07-21T02:56:15+99:00",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
