//! A client of HTTP/1.1 that sends what it is told to, byte by byte, and hides nothing of what comes back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::WAIT;

/// A request that is written as it should be.
pub(crate) struct Request<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, headers: Vec::new(), body: b"" }
    }

    pub(crate) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// As it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { method, path, headers, body } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: localhost\r\n");
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, WAIT).expect("it is connected to");
        stream.set_read_timeout(Some(WAIT)).expect("a time to wait");
        stream.set_write_timeout(Some(WAIT)).expect("a time to wait");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes, whatever they mean. The server may have closed: what it answered before can still be read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends one chunk of a chunked body. The empty one is the last.
    pub(crate) fn send_chunk(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        self.send(&[size.as_bytes(), bytes, b"\r\n"].concat());
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Answer {
        self.send(&request.bytes());
        let mut answer = self.head();
        if request.method != "HEAD" {
            answer.body = self.body(&answer).expect("a whole body");
        }
        answer
    }

    /// Whether nothing has come until now.
    pub(crate) fn is_silent(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("it need not wait");
        let came = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("it may wait again");
        self.stream.buffer().is_empty() && came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The next answer, with its body.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let answer = self.try_head().expect("an answer");
        Answer { body: self.body(&answer).expect("a whole body"), ..answer }
    }

    /// The next answer, without its body.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        self.try_head().expect("an answer")
    }

    /// The next answer, without its body; `None` where the connection was closed instead.
    #[track_caller]
    pub(crate) fn try_head(&mut self) -> Option<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: `{line}`"));
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => return Some(Answer { status, headers, body: Vec::new() }),
            }
        }
    }

    /// The body of an answer; `None` where it ends before its end.
    #[track_caller]
    pub(crate) fn body(&mut self, answer: &Answer) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        if matches!(answer.status, 100..=199 | 204 | 304) {
            return Some(body);
        }
        if let Some(length) = answer.header("content-length") {
            body.resize(length.parse().expect("a length"), 0);
            return self.stream.read_exact(&mut body).ok().map(|()| body);
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{answer:?}");
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Some(body);
            }
            body.extend(chunk);
        }
    }

    /// The next chunk of a body; an empty one at its end, `None` where it breaks off.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("not a size: `{size}`"));
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).ok()?;
        self.line().map(|_| chunk)
    }

    /// Waits until the server closes. Whatever comes before is dropped.
    #[track_caller]
    pub(crate) fn closes(&mut self) {
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the connection is not closed: {error}"),
            }
        }
    }

    /// `None` at the end of the connection.
    #[track_caller]
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\r\n") => {
                line.truncate(line.len() - 2);
                Some(String::from_utf8_lossy(&line).into_owned())
            }
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts that all went well, and returns the text.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }
}
