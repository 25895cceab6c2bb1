//! A small HTTP/1.1 server for the guests that are clients: one request for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};

/// Answers one request:
/// - `GET /hello` with a greeting and the header `x-answer: yes`,
/// - `GET /header` with the request's header `x-question`,
/// - `POST /echo` with the request's body,
/// - `POST /close` with a closed connection, before the body is read,
/// - everything else with 404.
pub(crate) fn answer(stream: impl Read + Write) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let fields = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let target = lines.first().and_then(|line| line.rsplit_once(' ')).map_or("", |(target, _)| target);
    let (status, body) = match target {
        "GET /hello" => ("200 OK", b"hello from the server\n".to_vec()),
        "GET /header" => ("200 OK", header("x-question").unwrap_or("none").as_bytes().to_vec()),
        "POST /echo" => ("200 OK", body(&mut reader, header("content-length"))?),
        "POST /close" => return Ok(()),
        _ => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nx-answer: yes\r\nconnection: close\r\n\r\n"
    );
    reader.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
    reader.get_mut().flush()
}

/// A request's body: of the length that it names, or in chunks.
fn body(reader: &mut impl BufRead, length: Option<&str>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = length {
        let length = length.parse().map_err(io::Error::other)?;
        reader.take(length).read_to_end(&mut body)?;
        return Ok(body);
    }
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        reader.take(size).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}
