//! Keyset pagination: `?limit=` and an opaque `?cursor=` that is signed and bound to its list.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// Items of a page when nothing is asked.
const DEFAULT: u32 = 50;
/// Items of a page at most.
const MOST: u32 = 200;
/// Bytes of the signature that a cursor carries.
const TAG: usize = 16;

/// One page of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Items<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins; `null` after the last one.
    pub next_cursor: Option<String>,
}

/// Where a page begins and how long it is, for lists without filters.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Pages {
    /// 1 to 200; 50 when it is left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// From `next_cursor`.
    pub cursor: Option<String>,
}

/// Signs and checks cursors. The binding says whose list it is: path, filters and caller.
#[derive(Clone, Debug)]
pub struct Cursors(hmac::Key);

/// What a caller asked for.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// Items wanted.
    pub limit: usize,
    /// The sort key of the last item of the page before.
    pub after: Option<K>,
    binding: String,
}

impl Cursors {
    /// Signs with this key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Reads `limit` and `cursor`; both wrong are 400.
    pub fn page<K: DeserializeOwned>(
        &self,
        limit: Option<u32>,
        cursor: Option<&str>,
        binding: String,
    ) -> Result<Page<K>, Problem> {
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::new(
                Code::InvalidQuery,
                format!("limit must be from 1 to {MOST}"),
            ));
        }
        let after = cursor.map(|cursor| self.open(cursor, &binding)).transpose()?;
        Ok(Page {
            limit: usize::try_from(limit).unwrap_or(1),
            after,
            binding,
        })
    }

    /// Cuts `rows` (one more than the limit was asked of the database) into a page.
    pub fn cut<T, K: Serialize, V>(
        &self,
        page: &Page<K>,
        mut rows: Vec<T>,
        key: impl Fn(&T) -> K,
        view: impl FnMut(T) -> V,
    ) -> Result<Items<V>, Problem> {
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(self.seal(&key(last), &page.binding)?),
            _ => None,
        };
        Ok(Items {
            items: rows.into_iter().map(view).collect(),
            next_cursor,
        })
    }

    fn seal<K: Serialize>(&self, key: &K, binding: &str) -> Result<String, Problem> {
        let key = serde_json::to_vec(key).map_err(Problem::internal)?;
        let mut sealed = self.tag(&key, binding);
        sealed.extend_from_slice(&key);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open<K: DeserializeOwned>(&self, cursor: &str, binding: &str) -> Result<K, Problem> {
        let refused = || {
            Problem::new(
                Code::InvalidCursor,
                "take the cursor from `next_cursor` of this very list",
            )
        };
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (tag, key) = sealed.split_at_checked(TAG).ok_or_else(refused)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &self.tag(key, binding))
            .map_err(|_| refused())?;
        serde_json::from_slice(key).map_err(|_| refused())
    }

    fn tag(&self, key: &[u8], binding: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(key);
        context.update(&[0]);
        context.update(binding.as_bytes());
        context.sign().as_ref().iter().take(TAG).copied().collect()
    }
}

impl<K> Page<K> {
    /// How many rows to ask the database for: one more tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_the_list_it_came_from() {
        let cursors = Cursors::new(b"key");
        let page: Page<i32> = cursors.page(Some(2), None, "/a?x=1".into()).unwrap();
        let items = cursors.cut(&page, vec![1, 2, 3], |n| *n, |n| n).unwrap();
        assert_eq!(items.items, [1, 2]);
        let cursor = items.next_cursor.unwrap();
        let next: Page<i32> = cursors.page(None, Some(&cursor), "/a?x=1".into()).unwrap();
        assert_eq!(next.after, Some(2));
        for (cursor, binding) in [
            (cursor.as_str(), "/a?x=2"),
            ("", "/a?x=1"),
            ("AAAA", "/a?x=1"),
            ("!!", "/a?x=1"),
        ] {
            let refused = cursors
                .page::<i32>(None, Some(cursor), binding.into())
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidCursor);
        }
        let other = Cursors::new(b"other").page::<i32>(None, Some(&cursor), "/a?x=1".into());
        assert_eq!(other.unwrap_err().code(), Code::InvalidCursor);
    }

    #[test]
    fn a_limit_is_from_1_to_200() {
        for (limit, fits) in [(0, false), (1, true), (200, true), (201, false)] {
            assert_eq!(
                Cursors::new(b"k")
                    .page::<i32>(Some(limit), None, String::new())
                    .is_ok(),
                fits
            );
        }
    }
}
