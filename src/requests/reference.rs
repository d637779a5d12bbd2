//! References: `SR-` and ten characters of Crockford's base32, random, sayable on the telephone.

/// Without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new one: 50 random bits.
pub fn random() -> String {
    let mut bytes = [0u8; 10];
    rand::fill(&mut bytes);
    let letters = bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    "SR-"
        .chars()
        .chain(letters.map(|letter| char::from(*letter)))
        .collect()
}

/// The reference that was meant: case, look-alikes (I, L, O), blanks and a missing prefix are forgiven.
pub fn parse(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    // A bare code may itself begin with "SR".
    let code = if text.len() > 10 {
        text.strip_prefix("SR")?
    } else {
        &text
    };
    let letters: Option<String> = code
        .chars()
        .map(|c| match c {
            'I' | 'L' => Some('1'),
            'O' => Some('0'),
            c if c.is_ascii() && ALPHABET.contains(&u8::try_from(c).unwrap_or(0)) => Some(c),
            _ => None,
        })
        .collect();
    letters
        .filter(|letters| letters.len() == 10)
        .map(|letters| format!("SR-{letters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for text in [
            "SR-7K4M9QX2TB",
            "sr-7k4m9qx2tb",
            "7K4M9QX2TB",
            "SR 7K4M 9QX2 TB",
            "sr7k4m9qx2tb",
        ] {
            assert_eq!(parse(text).as_deref(), Some("SR-7K4M9QX2TB"), "{text}");
        }
        assert_eq!(parse("SR-ilo0000000").as_deref(), Some("SR-1100000000"));
        assert_eq!(parse("SRSRSRSRSR").as_deref(), Some("SR-SRSRSRSRSR"));
        for text in [
            "",
            "SR-",
            "SR-7K4M9QX2T",
            "SR-7K4M9QX2TBB",
            "SR-7K4M9QX2TU",
            "SR-7K4M9QX2Tü",
            "\0",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_new_one_reads_as_itself() {
        for _ in 0..1000 {
            let reference = random();
            assert_eq!(parse(&reference), Some(reference));
        }
    }
}
