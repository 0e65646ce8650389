//! How long to wait between looks at something under way.

/// First wait, in milliseconds.
const FIRST: u32 = 1_000;
/// Longest wait while all is well.
const LONGEST: u32 = 4_000;
/// Longest wait while AWS does not answer.
const STANDOFF: u32 = 32_000;
/// How long something may take altogether.
pub const LIMIT: u64 = 90 * 60 * 1000;
/// How long AWS may be out of reach before that is a failure: longer than a network needs to come back by itself. What is under way
/// goes on without us.
pub const SILENCE: u64 = 2 * 60 * 1000;
/// How often what is shown is drawn anew, although nothing was asked: seconds pass.
pub const TICK: u32 = 1_000;

/// Waits that start short: most looks are at the beginning, when failures show.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    next: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Patience {
    /// The wait after a look that told something new.
    pub fn news(&mut self) -> u32 {
        self.next = FIRST;
        self.next
    }

    /// The wait after a look that told nothing new.
    pub fn quiet(&mut self) -> u32 {
        let now = self.next.min(LONGEST);
        self.next = (now + now / 4).min(LONGEST);
        now
    }

    /// The wait after a look that failed: throttled, or cut off.
    pub fn refused(&mut self) -> u32 {
        self.next = self.next.saturating_mul(2).clamp(2 * FIRST, STANDOFF);
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_in_silence_double_when_refused_and_start_anew_with_news() {
        let mut patience = Patience::default();
        let quiet: Vec<u32> = (0..8).map(|_| patience.quiet()).collect();
        assert_eq!(
            quiet,
            [1000, 1250, 1562, 1952, 2440, 3050, 3812, 4000],
            "a second at first, four at last"
        );
        assert_eq!(patience.news(), 1000);
        let refused: Vec<u32> = (0..6).map(|_| patience.refused()).collect();
        assert_eq!(refused, [2000, 4000, 8000, 16000, 32000, 32000]);
        assert_eq!(patience.quiet(), 4000);
    }
}
