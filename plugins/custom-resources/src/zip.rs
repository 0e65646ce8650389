//! ZIP archives without compression: the same entries are the same bytes, on every machine and every day.

/// 1980-01-01 00:00, the first time the format can hold.
const DATE: u16 = 1 << 5 | 1;
/// Format 2.0, and made on Unix, where the upper half of the attributes is the mode.
const MADE_BY: u16 = 3 << 8 | 20;
/// A regular file that everybody may read: Lambda runs the code as nobody in particular.
const MODE: u32 = 0o100_644 << 16;

/// An archive of these entries, name and text, in this order.
pub(crate) fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let (mut files, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in entries {
        let offset = length(files.len());
        let mut shared = Vec::new();
        // Version needed, no flags, stored, time, date.
        for field in [20, 0, 0, 0, DATE] {
            shared.extend(u16::to_le_bytes(field));
        }
        for field in [crc(text.as_bytes()), length(text.len()), length(text.len())] {
            shared.extend(field.to_le_bytes());
        }
        shared.extend(length(name.len()).to_le_bytes());

        files.extend(b"PK\x03\x04");
        files.extend(&shared);
        files.extend(name.as_bytes());
        files.extend(text.as_bytes());

        directory.extend(b"PK\x01\x02");
        directory.extend(MADE_BY.to_le_bytes());
        directory.extend(&shared);
        // No comment, first disk, no internal attributes.
        directory.extend([0; 6]);
        directory.extend(MODE.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, offset) = (entries.len() as u16, length(files.len()));
    files.extend(&directory);
    files.extend(b"PK\x05\x06\0\0\0\0");
    files.extend(count.to_le_bytes());
    files.extend(count.to_le_bytes());
    files.extend(length(directory.len()).to_le_bytes());
    files.extend(offset.to_le_bytes());
    files.extend([0; 2]);
    files
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("our own code is smaller than 4 GB")
}

/// CRC-32 as ZIP has it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_archive_has_its_entries_in_order_and_nothing_of_today() {
        let archive = zip(&[("index.js", "one"), ("two.js", "")]);
        assert_eq!(&archive[..4], b"PK\x03\x04");
        assert_eq!(&archive[10..14], &[0, 0, 0x21, 0], "1980-01-01");
        assert_eq!(archive, zip(&[("index.js", "one"), ("two.js", "")]));
        let end = &archive[archive.len() - 22..];
        assert_eq!(&end[..4], b"PK\x05\x06");
        assert_eq!(end[10], 2);
    }
}
