//! Events as lines for people. Data and the verdict go to standard output, the rest to standard error.

use super::{Event, Judged, Verbosity, Verdict};
use crate::plan::{Plan, describe, printable};
use crate::wit::policy::exports::plimsoll::deploy::policy::Enforcement;
use crate::wit::progress::Phase;
use crate::wit::types::{Moment, Severity};

/// Text for standard output and for standard error.
pub(super) fn lines(
    event: &Event<'_>,
    verbosity: Verbosity,
    live: bool,
    colour: bool,
) -> (Option<String>, Option<String>) {
    let shown = verbosity > Verbosity::Quiet;
    let verbose = verbosity == Verbosity::Verbose;
    match event {
        Event::Stage { text, .. } => (
            None,
            (shown && (live || verbose)).then(|| format!("{text}\n")),
        ),
        Event::Note { severity, message } => {
            let wanted = match severity {
                Severity::Note => verbose,
                Severity::Warning => shown,
                Severity::Error => true,
            };
            (
                None,
                wanted.then(|| format!("{}: {}\n", severity_word(*severity), printable(message))),
            )
        }
        Event::Finding(finding) => {
            let wanted = shown || finding.diagnostic.severity == Severity::Error;
            (None, wanted.then(|| format!("{}\n", finding.rendered)))
        }
        Event::Violation(judged) => (None, Some(violation(judged))),
        Event::Plan { plan, violations } => {
            (shown.then(|| show_plan(plan, violations, colour)), None)
        }
        Event::Difference(text) => {
            let text = match text.is_empty() {
                true => "No changes.\n".to_owned(),
                false => painted(&printable(text), colour),
            };
            (Some(text), None)
        }
        Event::Line { subject, line } => (
            None,
            (verbose || (shown && live)).then(|| format!("  {subject} | {}\n", printable(line))),
        ),
        Event::Progress {
            host,
            phase,
            message,
            ..
        } => {
            let failed = *phase == Phase::Failed;
            let wanted = failed || verbose || (shown && live);
            (
                None,
                wanted.then(|| {
                    let place = host.map(|host| format!("{host:<20} ")).unwrap_or_default();
                    format!("  {place}{} {}\n", phase_mark(*phase), printable(message))
                }),
            )
        }
        // Drawn by the reporter, who knows what stands already.
        Event::Tree { .. } => (None, None),
        Event::Detail { title, lines } => {
            let body: String = lines
                .iter()
                .map(|line| format!("    {}\n", printable(line)))
                .collect();
            (None, Some(format!("  {title}\n{body}")))
        }
        Event::Report { host, title, lines } => (Some(report(*host, title, lines, shown)), None),
        Event::Verdict(verdict) => (Some(verdict_line(verdict)), None),
    }
}

/// Under the heading that Kamal gives it: scripts look for `App Host: …`.
fn report(host: Option<&str>, title: &str, lines: &[String], headed: bool) -> String {
    let heading = match (host, title) {
        _ if !headed => String::new(),
        (Some(host), "") => format!("Host: {host}\n"),
        (Some(host), title) => format!("{title} Host: {host}\n"),
        (None, "") => String::new(),
        (None, title) => format!("{title}\n"),
    };
    let end = if host.is_some() { "\n" } else { "" };
    let lines = lines.iter().map(|line| format!("{}\n", printable(line)));
    printable(&heading) + &lines.collect::<String>() + end
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn phase_mark(phase: Phase) -> &'static str {
    match phase {
        Phase::Started => "…",
        Phase::Running => "·",
        Phase::Succeeded => "✓",
        Phase::Failed => "✗",
        Phase::Skipped => "-",
    }
}

fn violation(judged: &Judged) -> String {
    let word = match judged.violation.enforcement {
        Enforcement::Advisory => "warning",
        Enforcement::Mandatory => "error",
    };
    let mut text = format!(
        "{word}[{}]: {} (policy {})\n",
        judged.violation.rule,
        printable(&judged.violation.message),
        judged.policy
    );
    if let Some(at) = &judged.at {
        text.push_str(&format!("  --> {at}\n"));
    }
    if let Some(help) = &judged.violation.help {
        text.push_str(&format!("  help: {}\n", printable(help)));
    }
    text
}

fn show_plan(plan: &Plan, violations: &[Judged], colour: bool) -> String {
    let mut text = String::new();
    if plan.is_empty() {
        return text;
    }
    text.push_str("Changes\n");
    text.push_str(&painted(&printable(plan.difference.trim_end()), colour));
    text.push('\n');
    if !violations.is_empty() {
        text.push_str("\nFindings\n");
        violations
            .iter()
            .for_each(|judged| text.push_str(&violation(judged)));
    }
    text.push_str("\nPrivileged calls, in order\n");
    for image in &plan.rendered.images {
        text.push_str(&format!("  0. {}\n", describe::image(image)));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        text.push_str(&format!("{:>3}. {}\n", number + 1, printable(&step.title)));
        for effect in &step.effects {
            let mark = match (effect.moment, effect.destructive) {
                (Moment::OnFailure, _) => '?',
                (Moment::Always, true) => '-',
                (Moment::Always, false) => '+',
            };
            text.push_str(&format!(
                "     {mark} {}: {}\n",
                printable(&effect.subject),
                describe::effect(effect)
            ));
        }
    }
    text.push_str(&format!("\nPlan {}\n", plan.digest()));
    text
}

/// A difference with its signs coloured.
pub(super) fn painted(difference: &str, colour: bool) -> String {
    difference
        .split('\n')
        .map(|line| paint(line, colour))
        .collect::<Vec<_>>()
        .join("\n")
}

fn paint(line: &str, colour: bool) -> String {
    let code = match line.trim_start().chars().next() {
        Some('+') => "32",
        Some('-') => "31",
        Some('~') => "33",
        Some(_) | None => return line.to_owned(),
    };
    if colour {
        format!("\u{1b}[{code}m{line}\u{1b}[0m")
    } else {
        line.to_owned()
    }
}

fn verdict_line(verdict: &Verdict) -> String {
    let mut line = format!("{} in {:.1} s", verdict.text, verdict.took.as_secs_f32());
    if let Some(undo) = &verdict.undo {
        line.push_str(&format!("; undo with `{undo}`"));
    }
    line.push('\n');
    line
}
