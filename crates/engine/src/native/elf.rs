//! A loader of what `aot` and clang make: objects that run nothing when they are loaded and need nothing but a few functions
//! of the C library, which are named here. The system's own loader wants a path to each object, and a
//! [sealed](crate::sealed) process has none.
//!
//! The format is that of the *System V ABI*, chapters 4 and 5, for 64 bits.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::{ptr, slice};

use rt::Stopped;

use super::frames::{StackPart, Tables};

/// Kinds of segments, sections and relocations, and flags of segments.
const PT_LOAD: u64 = 1;
const PT_GNU_EH_FRAME: u64 = 0x6474_e550;
const PT_GNU_RELRO: u64 = 0x6474_e552;
const SHT_SYMTAB: u64 = 2;
const SHT_RELA: u64 = 4;
const SHT_DYNSYM: u64 = 11;
const SHF_ALLOC: u64 = 2;
const STT_FUNC: u64 = 2;
const PF_X: u64 = 1;
const PF_W: u64 = 2;

/// Relocations of this architecture: to the address of a symbol, by three names, and of the object itself.
#[cfg(target_arch = "x86_64")]
const RELOCATIONS: ([u64; 3], u64) = ([1, 6, 7], 8);
#[cfg(target_arch = "aarch64")]
const RELOCATIONS: ([u64; 3], u64) = ([257, 1025, 1026], 1027);
#[cfg(target_arch = "riscv64")]
const RELOCATIONS: ([u64; 3], u64) = ([2, 2, 5], 3);

/// An object in memory. Dropped, it is gone from there.
#[derive(Debug)]
pub(super) struct Image {
    start: *mut u8,
    len: usize,
    /// Where its symbols are, counted from the start.
    symbols: BTreeMap<String, usize>,
    /// The functions of WebAssembly, in order.
    functions: Box<[Function]>,
    /// What their modules are called.
    modules: Vec<String>,
    /// Where the tables of frames are found by, and the segment that has them, if there are any.
    tables: Option<(usize, Range<usize>)>,
}

/// Where the code of a function of WebAssembly is, counted from the start, and which function of which module it is.
#[derive(Debug)]
struct Function {
    start: u32,
    bytes: u32,
    module: u32,
    number: u32,
}

// SAFETY: it is constant once it was loaded.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

/// A part of the object that is to be in memory.
struct Segment {
    flags: u64,
    offset: usize,
    address: usize,
    file_bytes: usize,
    bytes: usize,
}

/// A section header, as far as it is of use.
struct Section {
    kind: u64,
    flags: u64,
    offset: usize,
    bytes: usize,
    link: usize,
}

impl Image {
    /// Loads an object.
    ///
    /// # Safety
    /// The bytes are what `aot` and clang made, and nobody has changed them.
    pub(super) unsafe fn map(bytes: &[u8]) -> io::Result<Self> {
        let elf = Elf(bytes);
        let (segments, sections) = (elf.segments()?, elf.sections()?);
        let file = in_memory(bytes)?;
        let loaded = || segments.iter().filter(|(kind, _)| *kind == PT_LOAD).map(|(_, segment)| segment);
        let page = page_bytes();
        let end = loaded().map(|segment| segment.address + segment.bytes).max().unwrap_or(0);
        let len = end.next_multiple_of(page);
        // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory; all that follows is inside
        // of it, as the linker has laid it out.
        unsafe {
            let start = map_at(ptr::null_mut(), len, libc::PROT_NONE, None)?;
            let (functions, modules) = elf.functions(&sections)?;
            let index = segments.iter().find(|(kind, _)| *kind == PT_GNU_EH_FRAME);
            let tables = index.and_then(|(_, Segment { address, .. })| {
                let mut all = loaded().map(|segment| segment.address..segment.address + segment.file_bytes);
                Some((*address, all.find(|segment| segment.contains(address))?))
            });
            let mut image = Self { start, len, symbols: BTreeMap::new(), functions, modules, tables };
            for segment in loaded() {
                image.load(segment, &file, page)?;
            }
            for section in sections.iter().filter(|section| section.kind == SHT_RELA) {
                if section.flags & SHF_ALLOC != 0 {
                    image.relocate(&elf, section, &sections)?;
                }
            }
            for (_, segment) in segments.iter().filter(|(kind, _)| *kind == PT_GNU_RELRO) {
                let (from, to) =
                    (segment.address / page * page, (segment.address + segment.bytes) / page * page);
                done(libc::mprotect(start.add(from).cast(), to.saturating_sub(from), libc::PROT_READ))?;
            }
            let table = sections.iter().find(|section| section.kind == SHT_DYNSYM);
            for index in 0..table.map_or(0, |table| table.bytes / SYMBOL_BYTES) {
                let symbol = elf.symbol(table.ok_or_else(broken)?, &sections, index)?;
                image.symbols.extend(symbol.defined.map(|address| (symbol.name.to_owned(), address)));
            }
            Ok(image)
        }
    }

    /// Where a symbol is.
    pub(super) fn address(&self, symbol: &str) -> Option<*const u8> {
        self.symbols.get(symbol).map(|address| self.start.wrapping_add(*address).cast_const())
    }

    /// Whether an address is in it.
    pub(super) fn contains(&self, address: usize) -> bool {
        address.checked_sub(self.start as usize).is_some_and(|offset| offset < self.len)
    }

    /// The function of WebAssembly in whose code an address is: its module and its number.
    pub(super) fn function_at(&self, address: usize) -> Option<(&str, u32)> {
        let offset = u32::try_from(address.checked_sub(self.start as usize)?).ok()?;
        let after = self.functions.partition_point(|function| function.start <= offset);
        let function = &self.functions[after.checked_sub(1)?];
        let is_inside = offset - function.start < function.bytes;
        is_inside.then(|| (&*self.modules[function.module as usize], function.number))
    }

    /// Where functions stand that were running when a trap stopped them, the innermost first.
    pub(super) fn frames(&self, at: &Stopped, stack: &StackPart<'_>, most: usize) -> Vec<usize> {
        let Some((index, segment)) = self.tables.clone() else { return vec![at.program_counter] };
        // SAFETY: the segment is inside of the image, and constant.
        let bytes = unsafe { slice::from_raw_parts(self.start.add(segment.start), segment.len()) };
        Tables { bytes, start: segment.start, index }.walk(self.start as usize, at, stack, most)
    }

    unsafe fn load(&mut self, segment: &Segment, file: &File, page: usize) -> io::Result<()> {
        let before = segment.address % page;
        let mut protection = libc::PROT_READ;
        protection |= if segment.flags & PF_W != 0 { libc::PROT_WRITE } else { 0 };
        protection |= if segment.flags & PF_X != 0 { libc::PROT_EXEC } else { 0 };
        // SAFETY: the segment is inside of the image; what is zeroed can be written, or there is nothing of it.
        unsafe {
            let from = self.start.add(segment.address - before);
            let file_bytes = segment.file_bytes + before;
            if segment.file_bytes > 0 {
                map_at(from, file_bytes, protection, Some((file, segment.offset - before)))?;
            }
            if segment.bytes > segment.file_bytes {
                let (known, end) = (file_bytes.next_multiple_of(page), segment.bytes + before);
                let known = if segment.file_bytes > 0 { known } else { 0 };
                if known > 0 {
                    ptr::write_bytes(from.add(file_bytes), 0, known - file_bytes);
                }
                if end > known {
                    map_at(from.add(known), end - known, protection, None)?;
                }
            }
        }
        Ok(())
    }

    unsafe fn relocate(&mut self, elf: &Elf<'_>, section: &Section, sections: &[Section]) -> io::Result<()> {
        let (to_symbols, to_itself) = RELOCATIONS;
        for at in (section.offset..section.offset + section.bytes).step_by(24) {
            let [place, info, addend] = [0, 8, 16].map(|offset| elf.number::<8>(at + offset));
            let (place, info, addend) = (place? as usize, info?, addend? as usize);
            let value = match info & 0xffff_ffff {
                kind if kind == to_itself => self.start as usize,
                kind if to_symbols.contains(&kind) => {
                    let table = sections.get(section.link).ok_or_else(broken)?;
                    let symbol = elf.symbol(table, sections, (info >> 32) as usize)?;
                    match symbol.defined {
                        Some(address) => self.start as usize + address,
                        None => of_the_library(symbol.name)
                            .ok_or_else(|| io::Error::other(format!("it needs `{}`", symbol.name)))?,
                    }
                }
                kind => return Err(io::Error::other(format!("it has a relocation of kind {kind}"))),
            };
            if place.checked_add(8).is_none_or(|end| end > self.len) {
                return Err(broken());
            }
            // SAFETY: the place is inside of the image, where the linker has put something to be written.
            unsafe { self.start.add(place).cast::<usize>().write_unaligned(value.wrapping_add(addend)) };
        }
        Ok(())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: modules keep their object, and stores their modules, so that nothing of it is used any more.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// The bytes of an object.
struct Elf<'a>(&'a [u8]);

const SYMBOL_BYTES: usize = 24;

/// A symbol, and where it is if it is the object's own.
struct Symbol<'a> {
    name: &'a str,
    defined: Option<usize>,
    is_function: bool,
    bytes: usize,
}

impl<'a> Elf<'a> {
    fn number<const N: usize>(&self, at: usize) -> io::Result<u64> {
        let bytes = at.checked_add(N).and_then(|end| self.0.get(at..end)).ok_or_else(broken)?;
        let mut number = [0; 8];
        number[..N].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(number))
    }

    fn place(&self, at: usize) -> io::Result<usize> {
        self.number::<8>(at).map(|number| number as usize)
    }

    /// The segments, by their kind.
    fn segments(&self) -> io::Result<Vec<(u64, Segment)>> {
        // Of 64 bits, in the order of bytes that all targets have, to be loaded.
        if !self.0.starts_with(b"\x7fELF\x02\x01") || self.number::<2>(16)? != 3 {
            return Err(broken());
        }
        let (first, bytes, count) = (self.place(32)?, self.number::<2>(54)?, self.number::<2>(56)?);
        let segment = |index: u64| {
            let at = first + (index * bytes) as usize;
            let segment = Segment {
                flags: self.number::<4>(at + 4)?,
                offset: self.place(at + 8)?,
                address: self.place(at + 16)?,
                file_bytes: self.place(at + 32)?,
                bytes: self.place(at + 40)?,
            };
            Ok((self.number::<4>(at)?, segment))
        };
        (0..count).map(segment).collect()
    }

    fn sections(&self) -> io::Result<Vec<Section>> {
        let (first, bytes, count) = (self.place(40)?, self.number::<2>(58)?, self.number::<2>(60)?);
        let section = |index: u64| {
            let at = first + (index * bytes) as usize;
            Ok(Section {
                kind: self.number::<4>(at + 4)?,
                flags: self.number::<8>(at + 8)?,
                offset: self.place(at + 24)?,
                bytes: self.place(at + 32)?,
                link: self.number::<4>(at + 40)? as usize,
            })
        };
        (0..count).map(section).collect()
    }

    fn symbol(&self, table: &Section, sections: &[Section], index: usize) -> io::Result<Symbol<'a>> {
        let at = table.offset + index * SYMBOL_BYTES;
        let names = sections.get(table.link).ok_or_else(broken)?;
        let name = self.0.get(names.offset + self.number::<4>(at)? as usize..).ok_or_else(broken)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let defined = if self.number::<2>(at + 6)? == 0 { None } else { Some(self.place(at + 8)?) };
        let is_function = self.number::<1>(at + 4)? & 0xf == STT_FUNC;
        let bytes = self.place(at + 16)?;
        Ok(Symbol { name: std::str::from_utf8(name).map_err(|_| broken())?, defined, is_function, bytes })
    }

    /// The functions of WebAssembly, and what their modules are called: `aot` names the code of each `MODULE.fNUMBER`, and
    /// clang what it makes of one beside it has more behind that.
    fn functions(&self, sections: &[Section]) -> io::Result<(Box<[Function]>, Vec<String>)> {
        let (mut functions, mut modules) = (Vec::new(), Vec::<String>::new());
        let table = sections.iter().find(|section| section.kind == SHT_SYMTAB);
        for index in 0..table.map_or(0, |table| table.bytes / SYMBOL_BYTES) {
            let symbol = self.symbol(table.ok_or_else(broken)?, sections, index)?;
            let named = symbol.name.split_once(".f").filter(|_| symbol.is_function);
            let (Some((module, number)), Some(start)) = (named, symbol.defined) else { continue };
            let Ok(number) = number.split('.').next().unwrap_or_default().parse() else { continue };
            let known = modules.iter().position(|known| known == module);
            let module = known.unwrap_or_else(|| {
                modules.push(module.to_owned());
                modules.len() - 1
            });
            // Code that is further away, which no object of today's is, has no name.
            if let (Ok(start), Ok(bytes)) = (u32::try_from(start), u32::try_from(symbol.bytes)) {
                functions.push(Function { start, bytes, module: module as u32, number });
            }
        }
        functions.sort_unstable_by_key(|function| function.start);
        Ok((functions.into(), modules))
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is no object that was made here")
}

fn done(returned: c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn page_bytes() -> usize {
    // SAFETY: the call takes a number only.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// A file that is in memory only, so that code comes from a file: nothing that was written becomes executable.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    // SAFETY: the name is a string; the new descriptor is nobody else's.
    let mut file = unsafe {
        let descriptor = libc::memfd_create(c"native".as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(descriptor)
    };
    file.write_all(bytes)?;
    Ok(file)
}

/// Maps pages of a file, or of zeros, in the place of what is there, or anywhere.
unsafe fn map_at(
    at: *mut u8,
    bytes: usize,
    protection: c_int,
    of: Option<(&File, usize)>,
) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE
        | if at.is_null() { 0 } else { libc::MAP_FIXED }
        | if of.is_none() { libc::MAP_ANONYMOUS | libc::MAP_NORESERVE } else { 0 };
    let (file, offset) = of.map_or((-1, 0), |(file, offset)| (file.as_raw_fd(), offset));
    // SAFETY: the caller owns what is there.
    let mapped = unsafe { libc::mmap(at.cast(), bytes, protection, flags, file, offset as libc::off_t) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapped.cast()) }
}

unsafe extern "C" {
    fn ceil(a: f64) -> f64;
    fn ceilf(a: f32) -> f32;
    fn floor(a: f64) -> f64;
    fn floorf(a: f32) -> f32;
    fn fma(a: f64, b: f64, c: f64) -> f64;
    fn fmaf(a: f32, b: f32, c: f32) -> f32;
    fn nearbyint(a: f64) -> f64;
    fn nearbyintf(a: f32) -> f32;
    fn rint(a: f64) -> f64;
    fn rintf(a: f32) -> f32;
    fn roundeven(a: f64) -> f64;
    fn roundevenf(a: f32) -> f32;
    fn trunc(a: f64) -> f64;
    fn truncf(a: f32) -> f32;
}

/// What code may call of the C library, where the processor has no instruction for it, or too many would be needed.
fn of_the_library(name: &str) -> Option<usize> {
    let known: [(&str, *const c_void); 18] = [
        ("memcmp", libc::memcmp as _),
        ("memcpy", libc::memcpy as _),
        ("memmove", libc::memmove as _),
        ("memset", libc::memset as _),
        ("ceil", ceil as _),
        ("ceilf", ceilf as _),
        ("floor", floor as _),
        ("floorf", floorf as _),
        ("fma", fma as _),
        ("fmaf", fmaf as _),
        ("nearbyint", nearbyint as _),
        ("nearbyintf", nearbyintf as _),
        ("rint", rint as _),
        ("rintf", rintf as _),
        ("roundeven", roundeven as _),
        ("roundevenf", roundevenf as _),
        ("trunc", trunc as _),
        ("truncf", truncf as _),
    ];
    known.into_iter().find(|(known, _)| *known == name).map(|(_, address)| address as usize)
}
