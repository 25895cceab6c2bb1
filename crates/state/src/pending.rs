//! A write on its way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{Error, Receipt};

/// A write on its way: await it, or [wait](Pending::wait) for it. Dropped, the write still happens.
#[must_use = "a write has not happened until it is waited for"]
pub struct Pending(State);

enum State {
    Done(Option<Result<Receipt, Error>>),
    Waiting(oneshot::Receiver<Result<Receipt, Error>>),
}

impl Pending {
    /// Blocks until the write has happened, as durably as its bucket asks for.
    ///
    /// # Errors
    /// Why it did not.
    ///
    /// # Panics
    /// On a thread that runs asynchronous tasks: these await it instead.
    pub fn wait(self) -> Result<Receipt, Error> {
        match self.0 {
            State::Done(result) => result.unwrap_or(Err(Error::Closed)),
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or(Err(Error::Closed)),
        }
    }

    pub(crate) fn done(result: Result<Receipt, Error>) -> Self {
        Self(State::Done(Some(result)))
    }

    /// Whether it failed before it was begun.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.0, State::Done(Some(Err(_))))
    }

    /// A write that is done elsewhere; that nobody tells of its end is [`Error::Closed`].
    pub fn waiting(receiver: oneshot::Receiver<Result<Receipt, Error>>) -> Self {
        Self(State::Waiting(receiver))
    }
}

impl Future for Pending {
    type Output = Result<Receipt, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(result) => Poll::Ready(result.take().unwrap_or(Err(Error::Closed))),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|result| result.unwrap_or(Err(Error::Closed)))
            }
        }
    }
}
