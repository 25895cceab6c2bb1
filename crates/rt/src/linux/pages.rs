//! Address space and the pages in it.

use core::ptr;

/// How large a page is: not the same on all machines of an architecture.
fn page_bytes() -> usize {
    // SAFETY: the call has no conditions.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

pub(super) fn reserve(bytes: usize) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), whole(bytes), libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED { ptr::null_mut() } else { start.cast() }
}

pub(super) unsafe fn commit(start: *mut u8, bytes: usize) -> bool {
    // What begins in a page that is already accessible may begin there again: pages are never given back singly.
    let offset = start as usize % page_bytes();
    // SAFETY: the pages are the caller's.
    unsafe {
        let start = start.sub(offset).cast();
        libc::mprotect(start, whole(bytes + offset), libc::PROT_READ | libc::PROT_WRITE) == 0
    }
}

pub(super) unsafe fn release(start: *mut u8, bytes: usize) {
    // SAFETY: the mapping is the caller's, and not used any more.
    unsafe { libc::munmap(start.cast(), whole(bytes)) };
}

fn whole(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(page_bytes())
}
