//! Joins what blocks with what does not: the body of an answer that a thread writes, and of a request that one reads.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, Receiver, Sender};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::limits::PIPE_PIECES_MAX;

/// The end that a thread writes to.
pub(super) struct Writer(Sender<Result<Bytes, Error>>);

/// The end that a thread reads from.
pub(super) struct Reader {
    pieces: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

/// A body and its writer.
pub(super) fn writer() -> (Writer, WasiBody) {
    let (sender, receiver) = mpsc::channel(PIPE_PIECES_MAX);
    let frames = stream::unfold(receiver, |mut receiver| async {
        let piece: Result<Bytes, Error> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    (Writer(sender), WasiBody::new(StreamBody::new(frames)))
}

/// A reader, and the end that [`pump`] fills.
pub(super) fn reader() -> (Sender<io::Result<Bytes>>, Reader) {
    let (sender, pieces) = mpsc::channel(PIPE_PIECES_MAX);
    (sender, Reader { pieces, piece: Bytes::new() })
}

/// Hands on a body until its end, or until nobody reads.
pub(super) async fn pump(mut body: Incoming, to: Sender<io::Result<Bytes>>) {
    while let Some(frame) = body.frame().await {
        let piece = match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => Ok(piece),
            // Trailers.
            Ok(Err(_)) => continue,
            Err(error) => Err(io::Error::other(error)),
        };
        if to.send(piece).await.is_err() {
            return;
        }
    }
}

impl Writer {
    /// Breaks the body off.
    pub(super) fn fail(self, reason: String) {
        // Nobody may be reading any more.
        let _ = self.0.blocking_send(Err(Error::InternalError(Some(reason))));
    }
}

impl Write for &Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}
