//! How many calls are in flight at once. The host refuses more than 256 of one component, or 16 for each host; waiting for a
//! place instead lets any number of hosts be deployed together.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Places for calls.
#[derive(Debug)]
pub struct Places {
    free: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Places {
    /// As many as stay well below the host's limit.
    pub fn on(hosts: usize) -> Self {
        Self::new(200.max(12 * hosts))
    }

    /// So many places.
    pub fn new(places: usize) -> Self {
        Self {
            free: Cell::new(places),
            waiting: RefCell::default(),
        }
    }

    /// Makes a call once there is a place for it. Calls do not wait for each other while they have one.
    pub async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        let _place = self.take().await;
        call.await
    }

    async fn take(&self) -> Place<'_> {
        poll_fn(|context| match self.free.get() {
            0 => {
                self.waiting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
            free => {
                self.free.set(free - 1);
                Poll::Ready(Place(self))
            }
        })
        .await
    }
}

/// A place that is taken.
struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn a_call_waits_until_another_is_over() {
        let places = Places::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let mut second = pin!(places.call(ready(2)));
        {
            let mut first = pin!(places.call(pending::<()>()));
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(2));
    }
}
