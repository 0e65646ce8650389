//! `on.schedule`: when a job runs, in the forms people know, as EventBridge wants it.

use crate::duration;

/// The expression of EventBridge, or why there is none.
pub(crate) fn expression(schedule: &str) -> Result<String, String> {
    if schedule == "none" || is_call(schedule, "rate") || is_call(schedule, "cron") {
        return Ok(schedule.to_owned());
    }
    if let Some(interval) = schedule.strip_prefix("@every ") {
        return every(interval.trim());
    }
    let fixed = match schedule {
        "@hourly" => "0 * * * ? *",
        "@daily" | "@midnight" => "0 0 * * ? *",
        "@weekly" => "0 0 ? * 1 *",
        "@monthly" => "0 0 1 * ? *",
        "@yearly" | "@annually" => "0 0 1 1 ? *",
        _ => return cron(schedule),
    };
    Ok(format!("cron({fixed})"))
}

fn is_call(text: &str, name: &str) -> bool {
    text.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with('(') && rest.ends_with(')'))
}

fn every(interval: &str) -> Result<String, String> {
    let nanoseconds =
        duration::parse(interval).ok_or_else(|| format!("`{interval}` is not a fixed interval"))?;
    let minute = 60 * duration::SECOND;
    if nanoseconds < minute || nanoseconds % minute != 0 {
        return Err("a fixed interval must be a whole number of minutes or hours".to_owned());
    }
    let minutes = nanoseconds / minute;
    Ok(format!(
        "rate({minutes} minute{})",
        if minutes == 1 { "" } else { "s" }
    ))
}

/// Five fields as cron has them to six as AWS has them.
fn cron(schedule: &str) -> Result<String, String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!(
            "`{schedule}` is no schedule: it has {} fields, a cron expression has five",
            fields.len()
        ));
    };
    let limits = [
        (minute, 0, 59, &[][..]),
        (hour, 0, 23, &[]),
        (day, 1, 31, &[]),
        (month, 1, 12, &MONTHS),
        (weekday, 0, 6, &DAYS),
    ];
    for (field, low, high, names) in limits {
        check_field(field, low, high, names)?;
    }
    let open = |field: &str| matches!(field, "*" | "?");
    let (day, weekday) = match (open(day), open(weekday)) {
        (false, false) => {
            return Err(
                "cannot specify both day of week and day of month in a cron expression".to_owned(),
            );
        }
        (_, true) => (
            if *day == "?" { "*" } else { day }.to_owned(),
            "?".to_owned(),
        ),
        (true, false) => ("?".to_owned(), shift_weekdays(weekday)),
    };
    Ok(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn check_field(field: &str, low: u32, high: u32, names: &[&str]) -> Result<(), String> {
    let value = |text: &str| {
        names.iter().any(|n| n.eq_ignore_ascii_case(text))
            || text.parse::<u32>().is_ok_and(|n| (low..=high).contains(&n))
    };
    let part = |part: &str| {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(r, s)| (r, Some(s)));
        step.is_none_or(|s| s.parse::<u32>().is_ok_and(|n| n > 0))
            && (matches!(range, "*" | "?")
                || value(range)
                || range
                    .split_once('-')
                    .is_some_and(|(a, b)| value(a) && value(b)))
    };
    if field.split(',').all(part) {
        Ok(())
    } else {
        Err(format!(
            "`{field}` is not possible in a cron expression: numbers from {low} to {high} are"
        ))
    }
}

/// Cron counts weekdays from 0, AWS from 1; names stay.
fn shift_weekdays(field: &str) -> String {
    let parts: Vec<String> = field
        .split(',')
        .map(|part| {
            let (range, step) = part
                .split_once('/')
                .map_or((part, None), |(r, s)| (r, Some(s)));
            let range: Vec<String> = range
                .split('-')
                .map(|day| {
                    day.parse::<u32>()
                        .map_or_else(|_| day.to_owned(), |n| (n + 1).to_string())
                })
                .collect();
            match step {
                Some(step) => format!("{}/{step}", range.join("-")),
                None => range.join("-"),
            }
        })
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_become_expressions() {
        for (schedule, wanted) in [
            ("rate(30 minutes)", "rate(30 minutes)"),
            ("cron(0 9 ? * 2-6 *)", "cron(0 9 ? * 2-6 *)"),
            ("none", "none"),
            ("@every 5m", "rate(5 minutes)"),
            ("@every 1m", "rate(1 minute)"),
            ("@every 1h30m", "rate(90 minutes)"),
            ("@hourly", "cron(0 * * * ? *)"),
            ("@midnight", "cron(0 0 * * ? *)"),
            ("@weekly", "cron(0 0 ? * 1 *)"),
            ("@annually", "cron(0 0 1 1 ? *)"),
            ("0 9 * * 1-5", "cron(0 9 ? * 2-6 *)"),
            ("0 12 * * MON", "cron(0 12 ? * MON *)"),
            ("0 0 1,15 * *", "cron(0 0 1,15 * ? *)"),
            ("*/5 * * * ?", "cron(*/5 * * * ? *)"),
            ("0 0 * * 0,6", "cron(0 0 ? * 1,7 *)"),
        ] {
            assert_eq!(expression(schedule).as_deref(), Ok(wanted), "{schedule}");
        }
    }

    #[test]
    fn impossible_schedules_are_refused() {
        for schedule in [
            "@every 90s",
            "@every 1s",
            "@every soon",
            "0 9 1 * 1",
            "0 9 * * 7",
            "0 9 * *",
            "61 * * * *",
            "@fortnightly",
            "None",
        ] {
            assert!(expression(schedule).is_err(), "{schedule}");
        }
    }
}
