//! Asking a service all the time, while something is done to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::LabError;
use crate::http::{Answer, Connection, Failure, Kept, Place};

/// A prober stops by itself after this long…
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// …or this many requests.
const MOST: usize = 200_000;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than these waiting means that nobody answers any more; each one beyond is a failure.
const MOST_WAITING: usize = 500;
/// A worker reads small answers.
const STACK: usize = 256 << 10;

/// Requests at a steady rate, whether or not the earlier ones are answered: a stall shows as failures, not as fewer requests.
///
/// Half of them open a connection of their own, half use kept ones. A kept connection that the server closed while it was idle is opened
/// again, as every HTTP client does; the report counts how often.
#[derive(Debug)]
pub struct Prober {
    over: Arc<AtomicBool>,
    schedule: Option<JoinHandle<Report>>,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Requests sent.
    pub sent: usize,
    /// Those answered 2xx, whole.
    pub ok: usize,
    /// The others: when, counted from the start, and why.
    pub failed: Vec<(Duration, String)>,
    /// The longest any request took.
    pub slowest: Duration,
    /// How often each body was answered; the first 100 different ones.
    pub answers: BTreeMap<String, usize>,
    /// Kept connections that had been closed while idle.
    pub reopened: usize,
}

impl Prober {
    /// Starts asking for `url`, `rate` times a second, with `host` as the `Host` header where it differs.
    pub fn start(url: &str, rate: u32, host: Option<&str>) -> Result<Prober, LabError> {
        let place = Place::read(url, host)?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let schedule = thread::spawn(move || run(&place, rate.max(1), &is_over));
        Ok(Prober {
            over,
            schedule: Some(schedule),
        })
    }

    /// Stops asking, waits for the answers under way, and returns what came of it.
    pub fn stop(mut self) -> Report {
        self.over.store(true, Ordering::SeqCst);
        let schedule = self.schedule.take().expect("a prober is stopped once");
        schedule.join().expect("the schedule does not panic")
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, ok, failed) = (self.sent, self.ok, self.failed.len());
        write!(
            formatter,
            "{sent} requests, {ok} ok, {failed} failed, slowest {} ms",
            self.slowest.as_millis()
        )
    }
}

fn run(place: &Place, rate: u32, over: &AtomicBool) -> Report {
    let report = Mutex::new(Report::default());
    let idle = Mutex::new(Vec::new());
    let waiting = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..MOST {
            let due = begun + Duration::from_secs(1) * number as u32 / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if over.load(Ordering::SeqCst) || begun.elapsed() > LONGEST {
                break;
            }
            lock(&report).sent += 1;
            let kept = if number % 2 == 0 { Kept::Yes } else { Kept::No };
            if waiting.fetch_add(1, Ordering::SeqCst) >= MOST_WAITING {
                waiting.fetch_sub(1, Ordering::SeqCst);
                lock(&report).note(
                    begun.elapsed(),
                    Duration::ZERO,
                    Err(format!("{MOST_WAITING} requests are waiting already")),
                );
                continue;
            }
            let (report, idle, waiting) = (&report, &idle, &waiting);
            let work = move || {
                let asked = begun.elapsed();
                let outcome = ask(place, kept, idle, report);
                lock(report).note(asked, begun.elapsed() - asked, outcome);
                waiting.fetch_sub(1, Ordering::SeqCst);
            };
            if let Err(error) = thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, work)
            {
                lock(report).note(
                    begun.elapsed(),
                    Duration::ZERO,
                    Err(format!("no thread to ask with: {error}")),
                );
            }
        }
    });
    report.into_inner().unwrap_or_default()
}

/// One request; the error says why it does not count as answered.
fn ask(
    place: &Place,
    kept: Kept,
    idle: &Mutex<Vec<Connection>>,
    report: &Mutex<Report>,
) -> Result<Answer, String> {
    let old = if kept == Kept::Yes {
        lock(idle).pop()
    } else {
        None
    };
    let was_idle = old.is_some();
    let exchange = |connection: Option<Connection>| {
        let mut connection = connection.map_or_else(|| place.connect(PATIENCE), Ok)?;
        let answer = connection.get(place, kept)?;
        if kept == Kept::Yes {
            lock(idle).push(connection);
        }
        Ok(answer)
    };
    let answer = match exchange(old) {
        Err(Failure::Unanswered(_)) if was_idle => {
            lock(report).reopened += 1;
            exchange(None)
        }
        answer => answer,
    };
    let answer = answer.map_err(|failure: Failure| failure.to_string())?;
    if (200..300).contains(&answer.status) {
        Ok(answer)
    } else {
        Err(format!("status {}: {}", answer.status, answer.body.trim()))
    }
}

impl Report {
    fn note(&mut self, asked: Duration, took: Duration, outcome: Result<Answer, String>) {
        self.slowest = self.slowest.max(took);
        match outcome {
            Ok(answer) => {
                self.ok += 1;
                if self.answers.len() < 100 || self.answers.contains_key(&answer.body) {
                    *self.answers.entry(answer.body).or_default() += 1;
                }
            }
            Err(why) => self.failed.push((asked, why)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics with this lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::answering;

    #[test]
    fn every_request_is_counted_as_ok_or_failed_with_its_reason() {
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        const BAD: &str = "HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad";
        // The server closes every connection after one answer: each kept one has to be opened again.
        let url = answering(&[OK, OK, BAD, OK, OK, OK]);
        let prober = Prober::start(&url, 50, None).unwrap();
        thread::sleep(Duration::from_millis(400));
        let report = prober.stop();
        assert!(report.sent >= 15, "{report}");
        assert_eq!(report.sent, report.ok + report.failed.len(), "{report}");
        assert_eq!(
            (report.ok, report.answers.get("ok")),
            (5, Some(&5)),
            "{report:?}"
        );
        assert!(
            report
                .failed
                .iter()
                .any(|(_, why)| why == "status 502: bad"),
            "{report:?}"
        );
        assert!(
            report.failed.iter().any(|(_, why)| why.contains("refused")),
            "{report:?}"
        );
        assert!(report.reopened > 0, "{report:?}");
    }

    #[test]
    fn a_stall_does_not_slow_the_prober_down() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let prober = Prober::start(&url, 100, None).unwrap();
        thread::sleep(Duration::from_millis(500));
        drop(silent);
        let report = prober.stop();
        assert!(report.sent >= 40, "{report}");
        assert_eq!(report.ok, 0);
        assert_eq!(report.failed.len(), report.sent);
    }
}
