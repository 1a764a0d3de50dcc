//! Bytes as text of lower-case hexadecimal digits, for tokens and cursors.

/// Two digits a byte.
pub(crate) fn encode(bytes: impl IntoIterator<Item = u8>) -> String {
    let digits = bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Reads what [`encode`] wrote; `None` for anything else.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4) | digit(*low)?);
    pairs.iter().map(byte).collect()
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn bytes_survive_their_text_and_other_texts_are_none() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(bytes.clone())), Some(bytes));
        for text in ["0", "0G", "AB", "é", "0é1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
