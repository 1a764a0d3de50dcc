//! How values become bytes and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A way to write values. Every program that uses a bucket must use the same: nothing in the
/// bytes says which one it was.
pub trait Codec: 'static {
    /// What people call the format.
    const NAME: &'static str;

    /// The bytes of a value.
    ///
    /// # Errors
    /// If it has none in this format; the text says why, for people.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String>;

    /// The value that these bytes are.
    ///
    /// # Errors
    /// If they are none of this type; the text says why, for people.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String>;
}

/// MessagePack, with the fields of structs by name: fields can be added, and with serde's
/// `default` left out.
#[derive(Debug, Clone, Copy)]
pub struct MessagePack;

/// JSON.
#[cfg(feature = "json")]
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for MessagePack {
    const NAME: &'static str = "MessagePack";

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
        rmp_serde::to_vec_named(value).map_err(|error| error.to_string())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
        rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
    }
}

#[cfg(feature = "json")]
impl Codec for Json {
    const NAME: &'static str = "JSON";

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
        serde_json::to_vec(value).map_err(|error| error.to_string())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::{Codec, MessagePack};

    #[derive(Serialize)]
    struct Old {
        name: String,
        gone: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct New {
        name: String,
        #[serde(default)]
        visits: u64,
    }

    fn fields_come_and_go<C: Codec>() {
        let old = Old {
            name: "Ada".to_owned(),
            gone: 1,
        };
        let bytes = C::encode(&old).unwrap();
        let new: New = C::decode(&bytes).unwrap();
        assert_eq!((new.name.as_str(), new.visits), ("Ada", 0));
        assert!(C::decode::<New>(b"\xc1").is_err());
    }

    #[test]
    fn a_type_may_grow_fields_and_lose_them() {
        fields_come_and_go::<MessagePack>();
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_type_may_grow_fields_and_lose_them_in_json_too() {
        fields_come_and_go::<super::Json>();
    }
}
