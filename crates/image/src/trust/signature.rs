//! Signatures: made for a whole program, and found for one.
//!
//! The tool of the conventions, `wasmsign2`, writes the length of each set and each signature before it, which their text
//! does not say. Here it is written as the tool does it, and read either way.

use ring::digest::{Context, SHA256};

use super::Distrust;
use super::key::KeyPair;
use super::list::{Entry, TrustList};
use super::sections::{NotWasm, PREAMBLE_BYTES, Reader, Section, sections};
use crate::limits::{SIGNATURE_BYTES_MAX, SIGNATURES_MAX, SIGNED_HASHES_MAX};

const SECTION: &str = "signature";
const DELIMITER: &str = "signature_delimiter";
/// The version of the conventions, WebAssembly as what is signed, SHA-256.
const FORM: [u8; 3] = [1, 1, 1];
const ED25519: u8 = 1;
const HASH_BYTES: usize = 32;

/// The program with a signature for all of it, in place of the ones that it had.
///
/// # Errors
/// When it is no WebAssembly in binary form.
pub fn sign(program: &[u8], key: &KeyPair) -> Result<Vec<u8>, NotWasm> {
    let mut rest = Vec::with_capacity(program.len());
    for section in sections(program)? {
        let section = section?;
        if !section.is_called(SECTION) {
            rest.extend_from_slice(section.bytes);
        }
    }
    let hash = super::digest_of(&rest);
    // A signature by a key without a name, one set of one hash and that signature, and one set in all.
    let mut signature = vec![0, ED25519];
    put_bytes(&mut signature, &key.sign(&message(&hash)));
    let mut set = [&[1], &hash[..], &[1]].concat();
    put_bytes(&mut set, &signature);
    let mut data = [&FORM[..], &[1]].concat();
    put_bytes(&mut data, &set);
    let mut content = Vec::new();
    put_bytes(&mut content, SECTION.as_bytes());
    content.extend(data);
    let mut signed = program[..PREAMBLE_BYTES].to_vec();
    signed.push(0);
    put_bytes(&mut signed, &content);
    signed.extend(rest);
    Ok(signed)
}

/// The key of the list that has signed the whole program.
pub(super) fn signer<'l>(program: &[u8], list: &'l TrustList) -> Result<&'l Entry, Distrust> {
    let mut sections = sections(program).map_err(|NotWasm| Distrust::NotWasm)?;
    let first = sections.next().ok_or(Distrust::Unsigned)?.map_err(|NotWasm| Distrust::NotWasm)?;
    let Some((_, data)) = first.custom.filter(|_| first.is_called(SECTION)) else {
        return Err(Distrust::Unsigned);
    };
    let signed = read(data, true).or_else(|malformed| read(data, false).map_err(|_| malformed))?;
    let mut parts = None;
    let mut found = Distrust::UnknownSigner;
    for Signed { hashes, signatures } in signed {
        let message = message(hashes);
        let has_signed =
            |(_, key): &(&Entry, &super::PublicKey)| signatures.iter().any(|of| key.has_signed(&message, of));
        let Some((entry, _)) = list.keys().find(has_signed) else { continue };
        if parts.is_none() {
            parts = Some(Parts::of(&program[PREAMBLE_BYTES + first.bytes.len()..], &mut sections)?);
        }
        match &parts {
            Some(parts) if parts.are_all_signed_by(hashes) => return Ok(entry),
            _ => found = Distrust::Changed,
        }
    }
    Err(found)
}

/// The hashes of a program from its start, which is behind the signatures, to each delimiter and to its end.
struct Parts {
    hashes: Vec<u8>,
    whole: [u8; HASH_BYTES],
}

impl Parts {
    fn of<'a>(
        content: &[u8],
        sections: &mut dyn Iterator<Item = Result<Section<'a>, NotWasm>>,
    ) -> Result<Self, Distrust> {
        let whole = super::digest_of(content);
        let mut context = Context::new(&SHA256);
        let mut hashes = Vec::new();
        let mut is_ended = true;
        for section in sections {
            let section = section.map_err(|NotWasm| Distrust::NotWasm)?;
            context.update(section.bytes);
            is_ended = section.is_called(DELIMITER);
            // More of them than can be signed for are as good as none.
            if is_ended && hashes.len() <= SIGNED_HASHES_MAX * HASH_BYTES {
                hashes.extend_from_slice(context.clone().finish().as_ref());
            }
        }
        if !is_ended {
            hashes.extend_from_slice(&whole);
        }
        Ok(Self { hashes, whole })
    }

    /// Whether what was signed is the whole, at once or part by part. A part alone, or less than was signed, is not.
    fn are_all_signed_by(&self, hashes: &[u8]) -> bool {
        hashes == self.whole || hashes == self.hashes
    }
}

/// Hashes and the signatures for them.
struct Signed<'a> {
    hashes: &'a [u8],
    signatures: Vec<&'a [u8]>,
}

const SHORT: Distrust = Distrust::Malformed("it is cut short");

/// Reads the content of the section, where each record may stand behind its length.
fn read(data: &[u8], has_lengths: bool) -> Result<Vec<Signed<'_>>, Distrust> {
    if data.len() > SIGNATURE_BYTES_MAX {
        return Err(Distrust::Malformed("it is too large"));
    }
    let mut reader = Reader(data);
    if reader.bytes(FORM.len()).ok_or(SHORT)? != FORM {
        return Err(Distrust::Malformed("it is of another version, or hashes by other means than SHA-256"));
    }
    let (mut sets, mut signatures_left) = (Vec::new(), SIGNATURES_MAX);
    for _ in 0..bounded(&mut reader, SIGNATURES_MAX)? {
        sets.push(record(&mut reader, has_lengths, |reader| {
            let hashes = bounded(reader, SIGNED_HASHES_MAX)?;
            let hashes = reader.bytes(hashes * HASH_BYTES).ok_or(SHORT)?;
            let count = bounded(reader, signatures_left)?;
            signatures_left -= count;
            let signatures = (0..count).map(|_| record(reader, has_lengths, signature));
            Ok(Signed { hashes, signatures: signatures.collect::<Result<_, _>>()? })
        })?);
    }
    match reader.0.is_empty() {
        true => Ok(sets),
        false => Err(Distrust::Malformed("something follows it")),
    }
}

/// A signature, which is empty if it is of an unknown kind.
fn signature<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Distrust> {
    let name_bytes = reader.number().ok_or(SHORT)?;
    reader.bytes(name_bytes).ok_or(SHORT)?;
    let algorithm = reader.byte().ok_or(SHORT)?;
    let signature_bytes = reader.number().ok_or(SHORT)?;
    let signature = reader.bytes(signature_bytes).ok_or(SHORT)?;
    Ok(if algorithm == ED25519 { signature } else { &[] })
}

/// What `read` finds, behind its length if it has one.
fn record<'a, T>(
    reader: &mut Reader<'a>,
    has_length: bool,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Distrust>,
) -> Result<T, Distrust> {
    let length = if has_length { Some(reader.number().ok_or(SHORT)?) } else { None };
    let left = reader.0.len();
    let found = read(reader)?;
    match length {
        Some(length) if length != left - reader.0.len() => Err(Distrust::Malformed("its lengths do not fit")),
        _ => Ok(found),
    }
}

fn bounded(reader: &mut Reader<'_>, max: usize) -> Result<usize, Distrust> {
    match reader.number() {
        None => Err(SHORT),
        Some(number) if number > max => Err(Distrust::Malformed("it has too many hashes or signatures")),
        Some(number) => Ok(number),
    }
}

/// What is signed for hashes.
fn message(hashes: &[u8]) -> Vec<u8> {
    [b"wasmsig", &FORM[..], hashes].concat()
}

/// Writes bytes behind their number in LEB128.
fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    let mut number = bytes.len();
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
    to.extend_from_slice(bytes);
}
