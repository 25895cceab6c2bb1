//! Bodies on their way: a request's, no larger than it may be, and an answer's, while its function still writes it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::instance::Failure;
use crate::limits::BODY_AHEAD_BYTES_MAX;

/// What a function does for a request.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// The request with no more body than `bytes_max`, and where it is noted that there was more.
pub(crate) fn bounded(request: Request<WasiBody>, bytes_max: u64) -> (Request<WasiBody>, Arc<AtomicBool>) {
    let exceeded = Arc::new(AtomicBool::new(false));
    // Most bodies say how large they are, and are as large as that.
    if request.body().size_hint().exact().is_some_and(|bytes| bytes <= bytes_max) {
        return (request, exceeded);
    }
    let noted = Arc::clone(&exceeded);
    let failed = move |error: Box<dyn std::error::Error + Send + Sync>| match error.downcast::<HttpError>() {
        Ok(error) => *error,
        Err(_) => {
            noted.store(true, Ordering::Relaxed);
            HttpError::HttpRequestBodySize(Some(bytes_max))
        }
    };
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    (request.map(|body| WasiBody::new(Limited::new(body, limit).map_err(failed))), exceeded)
}

/// A request's body while its function has no room: a client that vanished is noticed only by who reads.
pub(crate) struct Ahead {
    body: WasiBody,
    read: VecDeque<Result<Frame<Bytes>, HttpError>>,
    bytes: usize,
    ended: bool,
}

impl Ahead {
    pub(crate) fn new(body: WasiBody) -> Self {
        Self { body, read: VecDeque::new(), bytes: 0, ended: false }
    }

    /// Reads as much as may be kept. Ends when the body breaks off.
    pub(crate) async fn broken(&mut self) -> HttpError {
        while !self.ended && self.bytes < BODY_AHEAD_BYTES_MAX {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.bytes += frame.data_ref().map_or(0, Bytes::len);
                    self.read.push_back(Ok(frame));
                }
                Some(Err(error)) => return error,
                None => self.ended = true,
            }
        }
        std::future::pending().await
    }

    /// All of the body, from its beginning.
    pub(crate) fn into_body(self) -> WasiBody {
        match self.read.is_empty() {
            true => self.body,
            false => WasiBody::new(self),
        }
    }
}

impl Body for Ahead {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match self.read.pop_front() {
            Some(frame) => {
                self.bytes -= frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
                Poll::Ready(Some(frame))
            }
            None if self.ended => Poll::Ready(None),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, read) = (self.body.size_hint(), self.bytes as u64);
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + read),
            None => SizeHint::new(),
        }
    }
}

/// A body of which the beginning was read.
pub(crate) struct Begun(Ahead);

impl Begun {
    pub(crate) fn new(body: WasiBody) -> Self {
        Self(Ahead::new(body))
    }

    /// Reads what is there now, at most so many bytes. Whether that was all.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> bool {
        let ahead = &mut self.0;
        std::future::poll_fn(|context| {
            while !ahead.ended && ahead.bytes <= bytes_max {
                match Pin::new(&mut ahead.body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        ahead.bytes += frame.data_ref().map_or(0, Bytes::len);
                        ahead.read.push_back(Ok(frame));
                    }
                    Poll::Ready(Some(Err(error))) => {
                        ahead.read.push_back(Err(error));
                        ahead.ended = true;
                    }
                    Poll::Ready(None) => ahead.ended = true,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
        ahead.ended
    }

    /// All of the body, if it was read and is nothing but data; else the body from its beginning.
    pub(crate) fn into_whole(self) -> Result<Bytes, WasiBody> {
        let ahead = self.0;
        let is_data = |frame: &Result<Frame<Bytes>, HttpError>| frame.as_ref().is_ok_and(Frame::is_data);
        if !ahead.ended || !ahead.read.iter().all(is_data) {
            return Err(ahead.into_body());
        }
        let mut read = ahead.read.into_iter().filter_map(|frame| frame.ok()?.into_data().ok());
        let Some(first) = read.next() else { return Ok(Bytes::new()) };
        let mut rest = read.peekable();
        if rest.peek().is_none() {
            return Ok(first);
        }
        Ok(std::iter::once(first).chain(rest).flatten().collect())
    }
}

/// A body that keeps something until it has come whole, or nobody wants it any more.
pub(crate) fn keeping(body: WasiBody, kept: impl Send + Sync + 'static) -> WasiBody {
    WasiBody::new(body.map_frame(move |frame| {
        let _ = &kept;
        frame
    }))
}

/// A body that its function still writes, or that is followed by work that its function still does.
pub(crate) struct Ongoing {
    body: WasiBody,
    work: Option<Work>,
    ended: bool,
    /// How the work failed: what was written until then is not all.
    failure: Option<HttpError>,
}

impl Ongoing {
    /// With the work that goes on while it is read.
    pub(crate) fn going_on(body: WasiBody, work: Work) -> WasiBody {
        WasiBody::new(Self { body, work: Some(work), ended: false, failure: None })
    }

    /// The part that was written before its function failed.
    pub(crate) fn failed(body: WasiBody, failure: &Failure) -> WasiBody {
        WasiBody::new(Self { body, work: None, ended: false, failure: Some(broken_off(failure)) })
    }
}

/// The client is to see that it has not got all, and is told no more.
fn broken_off(failure: &Failure) -> HttpError {
    HttpError::InternalError(Some(failure.to_string()))
}

impl Body for Ongoing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(worked) = work.as_mut().poll(context)
        {
            self.work = None;
            self.failure = worked.err().as_ref().map(broken_off);
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if !matches!(frame, Poll::Ready(None)) {
            return frame;
        }
        self.ended = true;
        Poll::Ready(self.failure.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.failure.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Ongoing {
    /// A function goes on when all of its answer was read, until its deadline; it ends when its client has gone.
    fn drop(&mut self) {
        if let Some(work) = self.work.take()
            && (self.ended || self.body.is_end_stream())
        {
            tokio::spawn(work);
        }
    }
}
