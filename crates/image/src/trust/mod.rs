//! Which programs are trusted: those on a list by their digest, and those that a key on the list has signed.
//!
//! Signatures are those of the WebAssembly tool conventions (`Signatures.md`): Ed25519 over SHA-256, in a custom section
//! `signature` before all others.

mod hex;
mod key;
mod list;
mod sections;
mod signature;

pub use key::{KeyError, KeyPair, PublicKey};
pub use list::{Entry, ListError, TrustList, Trusted};
pub use sections::NotWasm;
pub use signature::sign;

use ring::digest;

/// Why a program is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Its digest is not on the list, and nobody has signed it.
    #[error("it is not on the trust list, and nobody has signed it")]
    Unsigned,
    /// It is signed, but by no key of the list.
    #[error("it is not on the trust list, and no key on the list has signed it")]
    UnknownSigner,
    /// A key of the list has signed something else than what it is now.
    #[error("a key on the trust list has signed it, but it was changed since")]
    Changed,
    /// What should be a signature is none.
    #[error("its signature is malformed: {0}")]
    Malformed(&'static str),
    /// It is no WebAssembly in binary form, so that it cannot bear a signature.
    #[error("it is not on the trust list, and is no binary WebAssembly, which alone bears signatures")]
    NotWasm,
}

/// The SHA-256 of a program's bytes.
pub fn digest_of(program: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, program).as_ref());
    bytes
}

/// Whether a program is trusted: the entry of the list that says so, or why not. A profile that relaxes isolation asks
/// this before it compiles anything.
///
/// # Errors
/// The reason not to trust it.
pub fn is_trusted<'l>(program: &[u8], list: &'l TrustList) -> Result<&'l Entry, Distrust> {
    if let Some(entry) = list.program(&digest_of(program)) {
        return Ok(entry);
    }
    signature::signer(program, list)
}

#[cfg(test)]
mod tests;
