//! The sections of a program in binary form, as far as signatures need to know them.

/// The bytes are no WebAssembly in binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no binary WebAssembly")]
pub struct NotWasm;

/// What a module or a component begins with.
const PREAMBLES: [[u8; PREAMBLE_BYTES]; 2] = [*b"\0asm\x01\0\0\0", *b"\0asm\x0d\0\x01\0"];

pub(super) const PREAMBLE_BYTES: usize = 8;

/// One section: all of its bytes, and what a custom one is called and has.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) custom: Option<(&'a [u8], &'a [u8])>,
}

impl Section<'_> {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.custom.is_some_and(|(found, _)| found == name.as_bytes())
    }
}

/// Bytes that are read from their start.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// An unsigned number of at most 32 bits, in LEB128.
    pub(super) fn number(&mut self) -> Option<usize> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok()?.try_into().ok();
            }
        }
        None
    }

    fn section(&mut self) -> Option<Section<'a>> {
        let start = self.0;
        let id = self.byte()?;
        let count = self.number()?;
        let mut content = Reader(self.bytes(count)?);
        let bytes = &start[..start.len() - self.0.len()];
        let custom = match id {
            0 => {
                let name_bytes = content.number()?;
                Some((content.bytes(name_bytes)?, content.0))
            }
            _ => None,
        };
        Some(Section { bytes, custom })
    }
}

/// The sections of a program.
pub(super) fn sections(
    program: &[u8],
) -> Result<impl Iterator<Item = Result<Section<'_>, NotWasm>>, NotWasm> {
    let (preamble, rest) = program.split_first_chunk::<PREAMBLE_BYTES>().ok_or(NotWasm)?;
    if !PREAMBLES.contains(preamble) {
        return Err(NotWasm);
    }
    let mut reader = Reader(rest);
    Ok(std::iter::from_fn(move || {
        if reader.0.is_empty() {
            return None;
        }
        let section = reader.section();
        if section.is_none() {
            // Nothing can be found behind what is no section.
            reader.0 = &[];
        }
        Some(section.ok_or(NotWasm))
    }))
}
