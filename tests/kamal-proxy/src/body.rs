//! Bodies that stream, and the one that knows when a request is over.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::log::Record;
use crate::target::{InFlight, Phase};

/// An error of a body.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body of any kind.
pub type AnyBody = UnsyncBoxBody<Bytes, BodyError>;

/// A body of a few words.
pub fn text(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A response on its way to the client: its target is busy and its log line is open until the last byte, or until the target is cut off.
pub struct Answer {
    inner: AnyBody,
    record: Record,
    cut: Option<Cut>,
}

struct Cut {
    reached: Pin<Box<dyn Future<Output = ()> + Send>>,
    _in_flight: InFlight,
}

impl Answer {
    /// The body of an answer from a target, or from the proxy itself when there is none.
    pub fn new(inner: AnyBody, record: Record, in_flight: Option<InFlight>) -> Answer {
        let cut = in_flight.map(|in_flight| Cut {
            reached: Box::pin(std::sync::Arc::clone(in_flight.target()).reaches(Phase::Cut)),
            _in_flight: in_flight,
        });
        Answer { inner, record, cut }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(cut) = &mut self.cut
            && cut.reached.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err("the target was given no more time".into())));
        }
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        match &frame {
            Poll::Ready(None) => self.record.complete = true,
            Poll::Ready(Some(Ok(frame))) => {
                self.record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64)
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body of known length is often not asked again after its last byte.
        self.record.complete |= self.inner.is_end_stream();
    }
}
