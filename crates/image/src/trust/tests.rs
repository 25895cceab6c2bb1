//! Programs that are trusted, and all those that look as if they were.

use super::sections::{Reader, sections};
use super::*;

/// A module with a custom section behind an empty one of types.
const PROGRAM: &[u8] = b"\0asm\x01\0\0\0\x01\x01\0\0\x03\x01x\x07";
/// A delimiter, as the conventions have it: 16 bytes at random.
const DELIMITER: &[u8] = b"\0\x24\x13signature_delimiter0123456789abcdef";

fn key(number: u8) -> KeyPair {
    KeyPair::from_random([number; 32])
}

fn list(trusted: &[Trusted]) -> TrustList {
    let mut list = TrustList::default();
    for of in trusted {
        list.add(*of, "").unwrap();
    }
    list
}

/// A list with the key of this number.
fn trusts(number: u8) -> TrustList {
    list(&[Trusted::Key(key(number).public())])
}

/// A program with what it says of its signatures.
fn with_section(data: &[u8], rest: &[u8]) -> Vec<u8> {
    let content = [&[9], &b"signature"[..], data].concat();
    let mut size = Vec::new();
    let mut left = content.len();
    while left >= 0x80 {
        size.push(left as u8 | 0x80);
        left >>= 7;
    }
    size.push(left as u8);
    [&b"\0asm\x01\0\0\0\0"[..], &size, &content, rest].concat()
}

/// A signature of several parts, as the text of the conventions has it: without lengths.
fn signed_for(hashes: &[[u8; 32]], by: &KeyPair) -> Vec<u8> {
    let hashes: Vec<u8> = hashes.concat();
    let signature = by.sign(&[b"wasmsig\x01\x01\x01", &hashes[..]].concat());
    let count = (hashes.len() / 32) as u8;
    [&[1, 1, 1, 1, count], &hashes[..], &[1, 2, b'i', b'd', 1, 64], &signature].concat()
}

#[test]
fn a_program_is_trusted_by_its_digest() {
    let trusted = list(&[Trusted::program(PROGRAM)]);
    assert_eq!(is_trusted(PROGRAM, &trusted).unwrap().trusted, Trusted::program(PROGRAM));
    assert_eq!(is_trusted(&PROGRAM[..12], &trusted), Err(Distrust::Unsigned));
    // What is not binary may be on the list too.
    let text = b"(module)";
    assert_eq!(is_trusted(text, &trusted), Err(Distrust::NotWasm));
    assert!(is_trusted(text, &list(&[Trusted::program(text)])).is_ok());
}

#[test]
fn a_program_is_trusted_by_who_signed_it() {
    let signed = sign(PROGRAM, &key(1)).unwrap();
    assert_eq!(is_trusted(&signed, &trusts(1)).unwrap().trusted, Trusted::Key(key(1).public()));
    assert_eq!(is_trusted(&signed, &trusts(2)), Err(Distrust::UnknownSigner));
    assert_eq!(is_trusted(PROGRAM, &trusts(1)), Err(Distrust::Unsigned));
    assert_eq!(is_trusted(&signed, &TrustList::default()), Err(Distrust::UnknownSigner));
    // The last one to sign is the only one that has.
    let again = sign(&signed, &key(2)).unwrap();
    assert_eq!(again.len(), signed.len());
    assert!(is_trusted(&again, &trusts(2)).is_ok());
    assert_eq!(is_trusted(&again, &trusts(1)), Err(Distrust::UnknownSigner));
    assert_eq!(sign(b"(module)", &key(1)), Err(NotWasm));
    // Components are signed as modules are.
    let component = sign(b"\0asm\x0d\0\x01\0\x07\x01\0", &key(1)).unwrap();
    assert!(is_trusted(&component, &trusts(1)).is_ok());
}

/// What is written is what `wasmsign2` writes for one signature of a whole module.
#[test]
fn a_signature_is_written_as_their_tool_does_it() {
    let signed = sign(PROGRAM, &key(1)).unwrap();
    let hash = digest_of(&PROGRAM[8..]);
    let head = [&b"\0asm\x01\0\0\0\0\x75\x09signature\x01\x01\x01\x01\x66\x01"[..], &hash].concat();
    assert_eq!(signed[..head.len()], head);
    assert_eq!(signed[head.len()..head.len() + 5], [1, 67, 0, 1, 64]);
    assert_eq!(signed[head.len() + 5 + 64..], PROGRAM[8..]);
}

#[test]
fn no_byte_of_a_signed_program_can_be_changed() {
    let signed = sign(PROGRAM, &key(1)).unwrap();
    let content = signed.len() - (PROGRAM.len() - 8);
    for at in 0..signed.len() {
        for bit in 0..8 {
            let mut changed = signed.clone();
            changed[at] ^= 1 << bit;
            // The version in the preamble is not signed for: of the two that there are, none is one bit from the other.
            let distrust = is_trusted(&changed, &trusts(1)).expect_err("it was changed");
            if at >= content {
                assert!(matches!(distrust, Distrust::Changed | Distrust::NotWasm), "byte {at}: {distrust}");
            }
        }
    }
    for end in 0..signed.len() {
        assert!(is_trusted(&signed[..end], &trusts(1)).is_err(), "cut at {end}");
    }
    assert_eq!(is_trusted(&[&signed[..], b"\0\x02\x01y"].concat(), &trusts(1)), Err(Distrust::Changed));
}

#[test]
fn a_program_that_was_signed_in_parts_is_trusted_whole_only() {
    let first = [&PROGRAM[8..], DELIMITER].concat();
    let whole = [&first[..], b"\0\x02\x01y", DELIMITER].concat();
    let hashes = [digest_of(&first), digest_of(&whole)];
    let data = signed_for(&hashes, &key(1));
    assert!(is_trusted(&with_section(&data, &whole), &trusts(1)).is_ok());
    // Its first part alone, and a part more than was signed.
    assert_eq!(is_trusted(&with_section(&data, &first), &trusts(1)), Err(Distrust::Changed));
    let more = [&whole[..], b"\0\x02\x01z"].concat();
    assert_eq!(is_trusted(&with_section(&data, &more), &trusts(1)), Err(Distrust::Changed));
    // A signature for the first part is none for all.
    let part = signed_for(&hashes[..1], &key(1));
    assert!(is_trusted(&with_section(&part, &first), &trusts(1)).is_ok());
    assert_eq!(is_trusted(&with_section(&part, &whole), &trusts(1)), Err(Distrust::Changed));
    // One for all at once is.
    assert!(is_trusted(&with_section(&signed_for(&hashes[1..], &key(1)), &whole), &trusts(1)).is_ok());
    // It stands before everything that it is for.
    let behind = [&PROGRAM[..8], &whole, &with_section(&data, b"")[8..]].concat();
    assert_eq!(is_trusted(&behind, &trusts(1)), Err(Distrust::Unsigned));
}

#[test]
fn what_is_too_much_or_too_little_is_malformed() {
    let malformed = |data: &[u8], word: &str| match is_trusted(&with_section(data, b""), &trusts(1)) {
        Err(Distrust::Malformed(why)) => assert!(why.contains(word), "{why}"),
        other => panic!("{data:?}: {other:?}"),
    };
    // Behind the preamble, the section's number and size, and its name.
    let good = sign(&PROGRAM[..8], &key(1)).unwrap()[8 + 2 + 10..].to_vec();
    assert!(is_trusted(&with_section(&good, b""), &trusts(1)).is_ok());
    for end in 0..good.len() {
        malformed(&good[..end], "short");
    }
    malformed(&[&good[..], &[0]].concat(), "follows");
    malformed(&[2, 1, 1, 0], "version");
    malformed(&[1, 1, 2, 0], "version");
    malformed(&[1, 1, 1, 17], "too many");
    malformed(&[1, 1, 1, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f], "too many");
    malformed(&[1, 1, 1, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x7f], "short");
    malformed(&[1, 1, 1, 1, 2, 0, 17], "too many");
    malformed(&[1, 1, 1, 1, 8, 0, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f], "short");
    malformed(&vec![1; crate::limits::SIGNATURE_BYTES_MAX + 1], "large");
    for length in [4, 4 + 1 + 1 + 32 + 1] {
        let mut other = good.clone();
        other[length] += 1;
        malformed(&other, "lengths");
    }
    // Signatures of another kind, or of the wrong length, count for nothing.
    let mut other = good.clone();
    let algorithm = other.len() - 64 - 2;
    other[algorithm] = 2;
    assert_eq!(is_trusted(&with_section(&other, b""), &trusts(1)), Err(Distrust::UnknownSigner));
}

/// What is mutated at random never panics, and never becomes trusted.
#[test]
fn no_mutant_is_trusted() {
    let first = [&PROGRAM[8..], DELIMITER].concat();
    let data = signed_for(&[digest_of(&first), digest_of(&[&first[..], PROGRAM].concat())], &key(1));
    let originals = [sign(PROGRAM, &key(1)).unwrap(), with_section(&data, &first)];
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for number in 0..50_000 {
        let original = &originals[number % originals.len()];
        let mut mutant = original.clone();
        for _ in 0..=random(4) {
            let at = random(mutant.len());
            match random(4) {
                0 => mutant[at] = random(256) as u8,
                1 => mutant[at] = [0, 0x7f, 0x80, 0xff][random(4)],
                2 => mutant.truncate(at.max(1)),
                _ => mutant.insert(at, random(256) as u8),
            }
        }
        if mutant != *original {
            assert!(is_trusted(&mutant, &trusts(1)).is_err(), "{mutant:?}");
        }
        let _ = sign(&mutant, &key(2));
        let _ = PublicKey::from_bytes(&mutant).and(KeyPair::from_bytes(&mutant).map(|key| key.public()));
        let _ = String::from_utf8_lossy(&mutant).parse::<TrustList>();
    }
}

#[test]
fn keys_are_files_of_the_conventions() {
    let (pair, bytes) = (key(7), key(7).to_bytes());
    assert_eq!((bytes.len(), bytes[0]), (65, 0x81));
    assert_eq!(KeyPair::from_bytes(&bytes).unwrap().public(), pair.public());
    assert_eq!(PublicKey::from_bytes(&pair.public().to_bytes()), Ok(pair.public()));
    assert_eq!(PublicKey::from_bytes(&bytes), Err(KeyError::Form));
    let mut wrong = bytes.clone();
    wrong[64] ^= 1;
    assert_eq!(KeyPair::from_bytes(&wrong).unwrap_err(), KeyError::Mismatch);
    assert_eq!(KeyPair::from_bytes(&bytes[..64]).unwrap_err(), KeyError::Form);
    assert!(!format!("{pair:?}").contains("0707"), "a secret is shown");
    // The first of RFC 8032's test vectors.
    let secret = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let public = KeyPair::from_random(secret).public().to_string();
    assert_eq!(public, "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

/// [`PROGRAM`], signed by `wasmsign2` 0.2.8, and the key that did.
#[test]
fn what_another_tool_signed_is_trusted() {
    let signed = "0061736d010000000075097369676e61747572650101010166017b1fe1a2017663424b97cb44fd3d \
        57b4644889d96fbe410c7ffb024d976edf050143000140e513b98bbfe577030726c841ccf7672184 \
        45c9afbe1e0f190d249124ae52fc5fc2e0811614e0101a146a165b379e9de76e58e6c83e304e29dc \
        81918cec55b7010101000003017807";
    let digits: String = signed.chars().filter(|char| !char.is_whitespace()).collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let signed: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    let signer = "ed25519:7e98bc3dd7df837a27d11b6aa90c3d007426c9d9e9667cf5ae8f8573751655da";
    let list = list(&[signer.parse().unwrap()]);
    assert_eq!(is_trusted(&signed, &list).unwrap().trusted.to_string(), signer);
    assert_eq!(signed[signed.len() - 8..], PROGRAM[8..]);
}

#[test]
fn a_list_is_the_text_it_was_written_as() {
    let mut list = TrustList::default();
    let (program, signer) = (Trusted::program(PROGRAM), Trusted::Key(key(1).public()));
    assert_eq!(list.add(program, "a build of mine"), Ok(true));
    assert_eq!(list.add(signer, ""), Ok(true));
    assert_eq!(list.add(program, " the same "), Ok(false));
    let text = list.to_string();
    assert_eq!(text, format!("{program} the same\n{signer}\n"));
    assert_eq!(text.parse(), Ok(list.clone()));
    assert!(list.remove(&signer) && !list.remove(&signer));
    assert_eq!(list.add(signer, "two\nlines"), Err(ListError::Note));
    assert_eq!(list.add(signer, &"x".repeat(201)), Err(ListError::Note));

    assert_eq!("sha256:00".parse::<TrustList>(), Err(ListError::Line(1)));
    assert_eq!(format!("{program}\nmd5:{}", "0".repeat(64)).parse::<TrustList>(), Err(ListError::Line(2)));
    assert_eq!(format!("sha256:{}", "+1".repeat(32)).parse::<TrustList>(), Err(ListError::Line(1)));
    let many: String = (0..=1_000).map(|number| format!("sha256:{number:064x}\n")).collect();
    assert_eq!(many.parse::<TrustList>(), Err(ListError::TooLarge));
    assert_eq!(
        " ".repeat(crate::limits::TRUST_LIST_BYTES_MAX + 1).parse::<TrustList>(),
        Err(ListError::TooLarge)
    );
}

#[test]
fn sections_end_where_the_program_does() {
    assert_eq!(sections(PROGRAM).unwrap().count(), 2);
    assert!(sections(b"\0asm\x02\0\0\0").is_err() && sections(b"\0asm").is_err());
    let lasts: Vec<bool> = sections(b"\0asm\x01\0\0\0\x01\x02\0").unwrap().map(|of| of.is_ok()).collect();
    assert_eq!(lasts, [false]);
    let number = |bytes: &[u8]| Reader(bytes).number();
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(u32::MAX as usize));
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
    assert_eq!(number(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
    assert_eq!(number(&[0x80]), None);
}
