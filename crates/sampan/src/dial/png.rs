//! Pixels as a file of the format PNG (ISO/IEC 15948).
//!
//! Written here because the crates that do it change how the engine's own dependencies are compiled, for all who build.

/// The file of a picture whose pixels are rows of red, green and blue.
pub(crate) fn encode(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    const COMPRESSION: u8 = 6;
    let row_bytes = width as usize * 3;
    // Each row has its filter in front: none.
    let rows = pixels.chunks_exact(row_bytes).flat_map(|row| [0].iter().chain(row)).copied();
    let rows: Vec<u8> = rows.collect();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Eight bits, of three colours, with the only methods that there are.
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &miniz_oxide::deflate::compress_to_vec_zlib(&rows, COMPRESSION));
    chunk(&mut file, *b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let begin = file.len();
    file.extend(kind);
    file.extend(data);
    let sum = crc(&file[begin..]);
    file.extend(sum.to_be_bytes());
}

/// The check sum of a chunk: CRC-32, reflected.
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1)))
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_pixels_are_in_it() {
        let file = encode(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2, 2);
        assert_eq!(&file[16..24], [0, 0, 0, 2, 0, 0, 0, 2]);
        let data_bytes = u32::from_be_bytes([file[33], file[34], file[35], file[36]]) as usize;
        let rows =
            miniz_oxide::inflate::decompress_to_vec_zlib(&file[41..41 + data_bytes]).expect("compressed");
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
    }
}
