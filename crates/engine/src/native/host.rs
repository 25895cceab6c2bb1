//! Functions of the host that native code can call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::error::Error;
use super::store::Store;
use super::value::Value;
use rt::Trap;
use rt::abi::{Header, HostFunction};

/// What the host does for native code: results for arguments, or why not.
pub(super) type Function =
    dyn FnMut(&[Value]) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>> + Send;

/// A function of the host with what its calls need.
pub(super) struct Host {
    pub(super) raw: HostFunction,
    signature: Box<[u8]>,
    function: Box<Function>,
    store: *mut Store,
}

impl Host {
    pub(super) fn new(
        store: *mut Store,
        raw_store: *mut rt::Store,
        signature: &[u8],
        function: Box<Function>,
    ) -> *mut Self {
        let header =
            Header { builtins: &rt::BUILTINS, store: raw_store, module: ptr::null(), next: ptr::null_mut() };
        let raw = HostFunction { header, call, data: ptr::null_mut() };
        let host = Box::into_raw(Box::new(Self { raw, signature: signature.into(), function, store }));
        // SAFETY: it was made just now.
        unsafe { (*host).raw.data = host.cast() };
        host
    }
}

/// How native code calls it.
unsafe extern "C" fn call(raw: *mut HostFunction, slots: *mut u64) -> u32 {
    // SAFETY: `data` is the function itself; its store lives while native code of it runs.
    let host = unsafe { &mut *(*raw).data.cast::<Host>() };
    // SAFETY: as above.
    let store = unsafe { &mut *host.store };
    let (params, results) = split(&host.signature);
    // SAFETY: native code has put arguments of the function's type there.
    let args = unsafe { load(store, params, slots) };
    let done = catch_unwind(AssertUnwindSafe(|| (host.function)(&args)));
    let failure = match done {
        // A signal that came meanwhile did nothing.
        Ok(_) if store.is_interrupted() => return Trap::Interrupted as u32,
        Ok(Ok(values)) if fits(&values, results) => {
            // SAFETY: native code has given room for the results of the function's type.
            unsafe { save(&values, slots) };
            return 0;
        }
        Ok(Ok(_)) => Error::Arguments,
        Ok(Err(error)) => Error::Host(error),
        Err(panic) => {
            // It goes on where native code was called from.
            store.panic = Some(panic);
            return Trap::Host as u32;
        }
    };
    store.failure = Some(failure);
    Trap::Host as u32
}

/// The letters of parameters and results.
pub(super) fn split(signature: &[u8]) -> (&[u8], &[u8]) {
    let colon = signature.iter().position(|letter| *letter == b':').unwrap_or(signature.len());
    (&signature[..colon], signature.get(colon + 1..).unwrap_or_default())
}

/// Whether the values are of these types.
pub(super) fn fits(values: &[Value], letters: &[u8]) -> bool {
    values.iter().map(Value::letter).eq(letters.iter().copied())
}

/// How many slots values of these types take.
pub(super) fn slots(letters: &[u8]) -> usize {
    letters.iter().map(|letter| if *letter == b'v' { 2 } else { 1 }).sum()
}

/// How many slots arguments and results of a type take, in the same place.
pub(crate) fn slots_of(signature: &[u8]) -> usize {
    let (params, results) = split(signature);
    slots(params).max(slots(results))
}

/// Values of these types from slots.
///
/// # Safety
/// The slots hold such values.
pub(super) unsafe fn load(store: &Store, letters: &[u8], slots: *const u64) -> Vec<Value> {
    let mut at = 0;
    let value = |letter: &u8| {
        let vector = *letter == b'v';
        // SAFETY: the caller promises that there are as many slots, with such values.
        unsafe {
            let pair = [*slots.add(at), if vector { *slots.add(at + 1) } else { 0 }];
            at += 1 + usize::from(vector);
            Value::from_slots(store, *letter, pair)
        }
    };
    letters.iter().map(value).collect()
}

/// Writes values to slots.
///
/// # Safety
/// There are as many slots as they take.
pub(super) unsafe fn save(values: &[Value], slots: *mut u64) {
    let mut at = 0;
    for value in values {
        let [first, second] = value.to_slots();
        // SAFETY: the caller promises that there are as many slots.
        unsafe {
            *slots.add(at) = first;
            at += 1;
            if let Value::V128(_) = value {
                *slots.add(at) = second;
                at += 1;
            }
        }
    }
}
