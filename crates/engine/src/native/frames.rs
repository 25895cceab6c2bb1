//! Who called the native code that trapped: frames, by the tables that clang puts beside the code (*DWARF 5*, 6.4). Only
//! what was copied of the stack is read of it.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, Register, RegisterRule,
    UnwindContext, UnwindSection,
};
use rt::Stopped;

/// The registers that matter, as the tables name them: the stack pointer, the frame pointer, and whatever has the address
/// to return to.
#[cfg(target_arch = "x86_64")]
const REGISTERS: [Register; 3] = [Register(7), Register(6), Register(16)];
#[cfg(target_arch = "aarch64")]
const REGISTERS: [Register; 3] = [Register(31), Register(29), Register(30)];
#[cfg(target_arch = "riscv64")]
const REGISTERS: [Register; 3] = [Register(2), Register(8), Register(1)];

/// A part of a stack, copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackPart<'a> {
    /// Where it was.
    pub(crate) start: usize,
    pub(crate) bytes: &'a [u8],
}

/// The tables of an object. Addresses are counted from where it begins.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    /// The part of the object that has them.
    pub(super) bytes: &'a [u8],
    pub(super) start: usize,
    /// Where the one begins by which others are found.
    pub(super) index: usize,
}

impl Tables<'_> {
    /// The addresses at which functions stand, the one that trapped and so many of its callers.
    pub(super) fn walk(&self, object: usize, at: &Stopped, stack: &StackPart<'_>, most: usize) -> Vec<usize> {
        let mut addresses = vec![at.program_counter];
        let mut registers = [at.stack, at.frame, at.link];
        while addresses.len() < most {
            let here = addresses[addresses.len() - 1];
            let Some(caller) = self.caller(here.wrapping_sub(object), registers, stack) else { break };
            registers = caller;
            // The call itself may be the last instruction of its function, and is before what it would return to.
            addresses.push(registers[2].wrapping_sub(1));
        }
        addresses
    }

    /// The registers of the caller of the function that stands at an address, when it called.
    fn caller(&self, at: usize, registers: [usize; 3], stack: &StackPart<'_>) -> Option<[usize; 3]> {
        let section = |from: usize| self.bytes.get(from.checked_sub(self.start)?..);
        let bases = BaseAddresses::default().set_eh_frame_hdr(self.index as u64);
        let index = EhFrameHdr::new(section(self.index)?, LittleEndian).parse(&bases, 8).ok()?;
        let Pointer::Direct(frames) = index.eh_frame_ptr() else { return None };
        let bases = bases.set_eh_frame(frames);
        let frames: EhFrame<EndianSlice<'_, _>> = EhFrame::new(section(frames as usize)?, LittleEndian);
        let mut context = UnwindContext::new();
        let find = EhFrame::cie_from_offset;
        let row =
            index.table()?.unwind_info_for_address(&frames, &bases, &mut context, at as u64, find).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let held = |register| Some(registers[REGISTERS.iter().position(|known| *known == register)?]);
        let outer = held(*register)?.wrapping_add_signed(*offset as isize);
        let before = |register| match row.register(register) {
            Some(RegisterRule::Offset(offset)) => stack.word(outer.wrapping_add_signed(offset as isize)),
            None | Some(RegisterRule::SameValue) => held(register),
            _ => None,
        };
        Some([outer, before(REGISTERS[1])?, before(REGISTERS[2])?])
    }
}

impl StackPart<'_> {
    fn word(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at.checked_sub(self.start)?..)?;
        bytes.first_chunk().map(|word| usize::from_le_bytes(*word))
    }
}
