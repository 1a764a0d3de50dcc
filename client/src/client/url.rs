//! Connection URLs.
//!
//! ```text
//!   starling://host:port,host:port/?ca=FILE&cert=FILE&key=FILE&timeout_ms=800&app=NAME
//! ```

use std::time::Duration;

use super::builder::{ClientBuilder, Tls};
use crate::error::{Error, ErrorKind};

/// Reads a URL into settings.
pub(super) fn parse(url: &str) -> Result<ClientBuilder, Error> {
    let rest = url
        .strip_prefix("starling://")
        .ok_or_else(|| bad("it must begin with starling://"))?;
    let (seeds, query) = rest.split_once('?').unwrap_or((rest, ""));
    let seeds = seeds.strip_suffix('/').unwrap_or(seeds);
    if seeds.contains(['/', '@', '#']) {
        return Err(bad(
            "between starling:// and /? there are only host:port, with commas",
        ));
    }
    let seeds = seeds.split(',').filter(|seed| !seed.is_empty());
    let mut builder = ClientBuilder::new().seeds(seeds);
    let mut files = Files::default();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = unescaped(value)?;
        match name {
            "ca" => files.ca = Some(value),
            "cert" => files.cert = Some(value),
            "key" => files.key = Some(value),
            "app" => builder = builder.app_name(value),
            "timeout_ms" => {
                let millis = value
                    .parse()
                    .map_err(|error| bad(&format!("timeout_ms is not a number ({error})")))?;
                builder = builder.timeout(Duration::from_millis(millis));
            }
            other => return Err(bad(&format!("it has an unknown parameter, {other:?}"))),
        }
    }
    Ok(builder.tls(files.into_tls()?))
}

#[derive(Default)]
struct Files {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

impl Files {
    fn into_tls(self) -> Result<Tls, Error> {
        let Some(ca) = self.ca else {
            return Err(bad("it names no authority: add ?ca=FILE, TLS is never off"));
        };
        match (self.cert, self.key) {
            (Some(cert), Some(key)) => Ok(Tls::ca_file(ca).identity_files(cert, key)),
            (None, None) => Ok(Tls::ca_file(ca)),
            (Some(_), None) | (None, Some(_)) => Err(bad("cert and key belong together")),
        }
    }
}

/// Replaces `%XX` by the byte that it stands for.
fn unescaped(text: &str) -> Result<String, Error> {
    let wrong = || bad("a % must be followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let (high, low) = high.zip(low).ok_or_else(wrong)?;
        bytes.extend(u8::try_from(high * 16 + low));
    }
    String::from_utf8(bytes)
        .map_err(|error| bad(&format!("an escaped parameter is no UTF-8 ({error})")))
}

fn bad(reason: &str) -> Error {
    let message = format!("the connection URL is unusable: {reason}; nothing was sent");
    Error::local(ErrorKind::Setup, message)
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, parse, unescaped};

    #[test]
    fn a_url_says_all_that_is_needed() {
        let url = "starling://h1:7401,h2/?ca=a%20b/ca.pem&cert=c&key=k&timeout_ms=800&app=shop";
        let shown = format!("{:?}", parse(url).unwrap());
        for part in [
            "\"h1:7401\"",
            "\"h2:7401\"",
            "a b/ca.pem",
            "800ms",
            "\"shop\"",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn an_unusable_url_is_refused_with_a_reason() {
        for (url, reason) in [
            ("http://h1/?ca=x", "starling://"),
            ("starling://h1:7401/", "TLS is never off"),
            ("starling://h1:7401/?ca=x&cert=y", "belong together"),
            ("starling://h1:7401/?ca=x&coffee=1", "coffee"),
            ("starling://h1:7401/db/?ca=x", "only host:port"),
            ("starling://h1:7401/?ca=%zz", "hexadecimal"),
            ("starling://h1:7401/?ca=x&timeout_ms=soon", "number"),
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Setup);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn escapes_are_bytes_of_utf8() {
        assert_eq!(unescaped("%c3%b6l%26").unwrap(), "öl&");
        assert!(unescaped("%c3").is_err());
        assert!(unescaped("%c").is_err());
    }
}
