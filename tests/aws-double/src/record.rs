//! Every request there was, so that tests can count them.

use std::time::Duration;

use serde::Serialize;

/// A request and when it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// As in the signature's scope: `cloudformation`.
    pub service: String,
    /// `DescribeStacks`; method and path where the protocol has no names.
    pub action: String,
    /// The region of the signature.
    pub region: String,
    /// Who signed.
    pub access_key: String,
    /// Since the double started.
    pub begun: Duration,
    /// The same; equal to `begun` while it is not answered.
    pub ended: Duration,
    /// The HTTP status; 0 while there is none, and when the connection was dropped.
    pub status: u16,
    /// What the client said of itself.
    pub user_agent: String,
    /// The body as text, but for S3.
    pub body: String,
}

/// How many of these had to wait for one another: the most requests of which no two overlap.
pub fn sequential(requests: &[Request]) -> usize {
    let mut by_end: Vec<&Request> = requests.iter().collect();
    by_end.sort_by_key(|request| request.ended);
    let mut count = 0;
    let mut free = Duration::ZERO;
    for request in by_end {
        if request.begun >= free {
            count += 1;
            free = request.ended;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(begun: u64, ended: u64) -> Request {
        Request {
            service: String::new(),
            action: String::new(),
            region: String::new(),
            access_key: String::new(),
            begun: Duration::from_millis(begun),
            ended: Duration::from_millis(ended),
            status: 200,
            user_agent: String::new(),
            body: String::new(),
        }
    }

    #[test]
    fn requests_at_the_same_time_are_one_round_trip() {
        let requests = [
            request(0, 10),
            request(1, 12),
            request(2, 9),
            request(13, 20),
            request(14, 30),
            request(31, 32),
        ];
        assert_eq!(sequential(&requests), 3);
        assert_eq!(sequential(&[]), 0);
    }
}
