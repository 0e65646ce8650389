//! The differences of two lists, as they are found.

use crate::tree::{Difference, Place, What};

/// The differences of a list, with runs of equal items counted.
#[derive(Default)]
pub(super) struct Items {
    found: Vec<Difference>,
    run: Option<(Place, usize)>,
    differ: bool,
}

impl Items {
    pub(super) fn push(&mut self, place: Place, what: Option<What>) {
        match what {
            None => self.run.get_or_insert((place, 0)).1 += 1,
            Some(what) => {
                self.end_run();
                self.differ = true;
                self.found.push(Difference { place, what });
            }
        }
    }

    fn end_run(&mut self) {
        if let Some((place, count)) = self.run.take() {
            self.found.push(Difference {
                place,
                what: What::Unchanged(count),
            });
        }
    }

    pub(super) fn finish(mut self) -> Vec<Difference> {
        self.end_run();
        if self.differ { self.found } else { Vec::new() }
    }
}
