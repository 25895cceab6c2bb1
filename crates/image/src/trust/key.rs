//! Keys of Ed25519, in files as the tool conventions have them: a byte for the kind, then the key.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::hex;

const PUBLIC: u8 = 0x01;
const PAIR: u8 = 0x81;

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// They are not of this form.
    #[error("it is no Ed25519 key as the WebAssembly tool conventions have it")]
    Form,
    /// The public part is not that of the secret part.
    #[error("its two halves do not belong together")]
    Mismatch,
}

/// What a signature is checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When they are not those of a public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.split_first() {
            Some((&PUBLIC, key)) => key.try_into().map(Self).map_err(|_| KeyError::Form),
            _ => Err(KeyError::Form),
        }
    }

    /// The bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[PUBLIC], &self.0[..]].concat()
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", hex::encode(&self.0))
    }
}

/// What signs.
pub struct KeyPair {
    pair: Ed25519KeyPair,
    secret: [u8; 32],
}

impl KeyPair {
    /// A new one, of 32 bytes that nobody can guess.
    pub fn from_random(secret: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&secret).expect("any 32 bytes are a secret key");
        Self { pair, secret }
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When they are not those of a key pair.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let Some((&PAIR, keys)) = bytes.split_first() else { return Err(KeyError::Form) };
        let (secret, public) = keys.split_first_chunk::<32>().ok_or(KeyError::Form)?;
        if public.len() != 32 {
            return Err(KeyError::Form);
        }
        let pair =
            Ed25519KeyPair::from_seed_and_public_key(secret, public).map_err(|_| KeyError::Mismatch)?;
        Ok(Self { pair, secret: *secret })
    }

    /// The bytes of a file, which must be kept secret.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[PAIR], &self.secret[..], &self.public().0].concat()
    }

    /// What its signatures are checked with.
    pub fn public(&self) -> PublicKey {
        let bytes = self.pair.public_key().as_ref();
        PublicKey(bytes.try_into().expect("a public key has 32 bytes"))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public()).finish()
    }
}
