//! What the machine asks of its debugger. The numbers are those of Arm's semihosting, which RISC-V has taken over.

use crate::machine::ask;

const WRITE_CHARACTER: usize = 0x03;
const EXIT: usize = 0x18;
const ENDED_BY_APPLICATION: usize = 0x20026;
const ENDED_BY_ERROR: usize = 0x20023;

pub(crate) fn write(text: &[u8]) {
    for byte in text {
        // SAFETY: the argument is the address of a character.
        unsafe { ask(WRITE_CHARACTER, (&raw const *byte) as usize) };
    }
}

pub(crate) fn exit(well: bool) -> ! {
    let reason = if well { ENDED_BY_APPLICATION } else { ENDED_BY_ERROR };
    loop {
        // SAFETY: the argument is a reason.
        unsafe { ask(EXIT, reason) };
    }
}
