//! Other roles boot once a container of the primary role is healthy, and not at all when none gets there. What comes after
//! a group of boots may begin once all of them are ready.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Shared by everything that boots in one deploy.
#[derive(Debug, Default)]
pub struct Gate {
    open: Cell<bool>,
    /// Gatekeepers that may still open it.
    pending: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

/// What a wait at the gate ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Go on.
    Open,
    /// No gatekeeper is left that could open it.
    Closed,
}

impl Gate {
    /// A group begins, with so many gatekeepers. An open gate stays open.
    pub fn expect(&self, gatekeepers: usize) {
        self.pending.set(gatekeepers);
    }

    /// A gatekeeper is healthy.
    pub fn open(&self) {
        self.open.set(true);
        self.wake();
    }

    /// A gatekeeper has failed.
    pub fn give_up(&self) {
        self.pending.set(self.pending.get().saturating_sub(1));
        self.wake();
    }

    /// Waits for the first healthy gatekeeper or the last failure.
    pub async fn pass(&self) -> Passage {
        poll_fn(|context| match (self.open.get(), self.pending.get()) {
            (true, _) => Poll::Ready(Passage::Open),
            (false, 0) => Poll::Ready(Passage::Closed),
            (false, _) => {
                self.waiting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn wake(&self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// Everything in a group that has to get ready.
#[derive(Debug, Default)]
pub struct All {
    left: Cell<usize>,
    failed: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl All {
    /// A group begins, of so many.
    pub fn expect(&self, number: usize) {
        self.left.set(number);
        self.failed.set(false);
    }

    /// One is ready, or will never be.
    pub fn count(&self, ready: bool) {
        self.left.set(self.left.get().saturating_sub(1));
        self.failed.set(self.failed.get() || !ready);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for the last one, or the first failure.
    pub async fn pass(&self) -> Passage {
        poll_fn(|context| match (self.failed.get(), self.left.get()) {
            (true, _) => Poll::Ready(Passage::Closed),
            (false, 0) => Poll::Ready(Passage::Open),
            (false, _) => {
                self.waiting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn passage(gate: &Gate) -> Poll<Passage> {
        pin!(gate.pass()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_first_healthy_gatekeeper_opens_the_gate_for_good() {
        let gate = Gate::default();
        gate.expect(2);
        assert_eq!(passage(&gate), Poll::Pending);
        gate.give_up();
        assert_eq!(passage(&gate), Poll::Pending);
        gate.open();
        assert_eq!(passage(&gate), Poll::Ready(Passage::Open));
        gate.expect(1);
        gate.give_up();
        assert_eq!(passage(&gate), Poll::Ready(Passage::Open));
    }

    #[test]
    fn the_last_failing_gatekeeper_closes_it() {
        let gate = Gate::default();
        gate.expect(2);
        gate.give_up();
        gate.give_up();
        assert_eq!(passage(&gate), Poll::Ready(Passage::Closed));
    }

    #[test]
    fn all_are_ready_when_the_last_one_is_and_none_failed() {
        let passage = |all: &All| pin!(all.pass()).poll(&mut Context::from_waker(Waker::noop()));
        let all = All::default();
        all.expect(2);
        all.count(true);
        assert_eq!(passage(&all), Poll::Pending);
        all.count(true);
        assert_eq!(passage(&all), Poll::Ready(Passage::Open));
        all.expect(2);
        all.count(false);
        assert_eq!(passage(&all), Poll::Ready(Passage::Closed));
        all.count(true);
        assert_eq!(passage(&all), Poll::Ready(Passage::Closed));
    }
}
