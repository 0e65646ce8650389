//! Whether anybody notices a deploy: requests to every host all the while, and long ones that are under way at each switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::prober::Prober;
use crate::report::{print, say};
use crate::{Lab, LabError, http};

const DEPLOYS: usize = 10;
/// Requests a second to each host.
const RATE: u32 = 100;
/// How long the long ones take: less than what is drained may.
const LONG: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints how many requests were sent and how many failed; an error if a single one did. `deploy` deploys a new version to all
/// hosts of the lab.
pub(super) fn measure(
    lab: &Lab,
    deploy: impl Fn() -> Result<Duration, LabError>,
) -> Result<(), LabError> {
    say("deploying a first version to all hosts");
    deploy()?;
    let over = Arc::new(AtomicBool::new(false));
    let urls = lab
        .hosts
        .iter()
        .map(|host| format!("http://{}/", host.address));
    let mut probers = Vec::new();
    let mut patient = Vec::new();
    for url in urls {
        probers.push(Prober::start(&url, RATE, None)?);
        let (over, url) = (over.clone(), format!("{url}slow?ms={}", LONG.as_millis()));
        patient.push(thread::spawn(move || {
            let (mut sent, mut failed) = (0, 0);
            while !over.load(Ordering::SeqCst) {
                let answer = http::get(&url, None, PATIENCE);
                sent += 1;
                failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
            }
            (sent, failed)
        }));
    }
    let mut deployed = Ok(Duration::ZERO);
    for round in 1..=DEPLOYS {
        say(format!("deploying under load, {round} of {DEPLOYS}"));
        deployed = deployed.and_then(|sum| Ok(sum + deploy()?));
    }
    over.store(true, Ordering::SeqCst);
    let (mut sent, mut failed) = (0, 0);
    for prober in probers {
        let report = prober.stop();
        sent += report.sent;
        failed += report.failed.len();
    }
    let (mut long, mut cut) = (0, 0);
    for thread in patient {
        let (sent, failed) = thread.join().expect("asking does not panic");
        long += sent;
        cut += failed;
    }
    let took = deployed?;
    print(format!(
        "{DEPLOYS} deploys to {} hosts in {:.0} s, {RATE} requests a second to each: {sent} sent, {failed} failed; \
         {long} of {} s each, {cut} cut off",
        lab.hosts.len(),
        took.as_secs_f64(),
        LONG.as_secs(),
    ));
    match failed + cut {
        0 => Ok(()),
        _ => Err(LabError::Step("deploy without a failed request".to_owned())),
    }
}
