//! Refresh tokens: `kart_` + base64url(grant id ‖ generation ‖ HMAC).
//!
//! There is no row per token. A token names its grant and generation and proves that we wrote it, so one that we did not
//! write never reaches the database; and every racer who is given "the current token" is given the same bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::MasterKeys;
use crate::domain::{GrantId, RefreshToken};

const PREFIX: &str = "kart_";
const BODY: usize = 16 + 4;
const TAG: usize = 32;

/// What a refresh token of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Its grant.
    pub(crate) grant: GrantId,
    /// Its generation.
    pub(crate) generation: i64,
}

/// Writes the refresh token of a grant's generation. The same arguments give the same token.
pub fn mint(keys: &MasterKeys, grant: GrantId, generation: i64) -> RefreshToken {
    let mut bytes = [0; BODY + TAG];
    bytes[..16].copy_from_slice(grant.0.as_bytes());
    // Four thousand million refreshes of one grant do not happen within its absolute life.
    bytes[16..BODY].copy_from_slice(&u32::try_from(generation).unwrap_or(u32::MAX).to_be_bytes());
    let tag = keys.refresh_tag(&bytes[..BODY]);
    bytes[BODY..].copy_from_slice(tag.as_ref());
    let mut text = String::with_capacity(PREFIX.len() + (BODY + TAG).div_ceil(3) * 4);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    RefreshToken::new(text)
}

/// Whether this text means to be a refresh token of ours, which says nothing of who wrote it.
pub(crate) fn is_meant(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Reads a refresh token; `None` if we did not write it.
pub fn read(keys: &MasterKeys, token: &str) -> Option<Presented> {
    let mut bytes = [0; BODY + TAG];
    let encoded = token.strip_prefix(PREFIX)?;
    (URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()? == BODY + TAG).then_some(())?;
    let (body, tag) = bytes.split_at(BODY);
    keys.refresh_tag_fits(body, tag).then_some(())?;
    let (id, generation) = body.split_at(16);
    Some(Presented {
        grant: GrantId(Uuid::from_slice(id).ok()?),
        generation: i64::from(u32::from_be_bytes(generation.try_into().ok()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> MasterKeys {
        MasterKeys::new(&[7; 32], []).unwrap()
    }

    #[test]
    fn a_token_comes_back_as_what_was_written() {
        let grant = GrantId::generate();
        let token = mint(&keys(), grant, 42);
        assert!(token.reveal().starts_with("kart_"));
        assert_eq!(read(&keys(), token.reveal()), Some(Presented { grant, generation: 42 }));
        assert_eq!(token.reveal(), mint(&keys(), grant, 42).reveal());
    }

    #[test]
    fn a_token_changed_anywhere_is_not_ours() {
        let token = mint(&keys(), GrantId::generate(), 1);
        for i in 0..token.reveal().len() {
            let mut bytes = token.reveal().as_bytes().to_vec();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(read(&keys(), &changed), None, "character {i}");
            assert_eq!(read(&keys(), &token.reveal()[..i]), None, "length {i}");
        }
        let other = MasterKeys::new(&[8; 32], []).unwrap();
        assert_eq!(read(&other, token.reveal()), None);
        assert_eq!(read(&keys(), &format!("{}=", token.reveal())), None);
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// Only the very text that was minted is a refresh token.
    #[test]
    fn refresh_tokens() {
        let keys = MasterKeys::new(&[7; 32], []).unwrap();
        let minted = mint(&keys, GrantId(Uuid::nil()), 1);
        bolero::check!().with_type::<(u16, u8, Vec<u8>)>().for_each(|(at, byte, bytes)| {
            let mut changed = minted.reveal().to_owned().into_bytes();
            let at = usize::from(*at) % changed.len();
            changed[at] = *byte;
            for text in [changed.as_slice(), bytes.as_slice()] {
                let Ok(text) = std::str::from_utf8(text) else { continue };
                assert!(text == minted.reveal() || read(&keys, text).is_none(), "{text}");
            }
        });
    }
}
