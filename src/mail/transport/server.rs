//! Where the SMTP server is, how it is reached, and how TLS begins there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
#[expect(
    deprecated,
    reason = "the only way to implicit TLS on a socket of our own, which has nodelay"
)]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use super::BadSmtpUrl;

/// For an address of the host to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How to reach the server, and how to greet it.
pub(super) struct Server {
    pub(super) host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// Why a connection was not made.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

impl Server {
    /// No value of the URL is repeated in an error: in a mistyped one, each may be a piece of the password.
    pub(super) fn parse(url: &str) -> Result<Server, BadSmtpUrl> {
        let url = Url::parse(url).map_err(|error| BadSmtpUrl(error.to_string()))?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(BadSmtpUrl("nothing but `?tls=` may follow the host".to_owned()));
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        if host.is_empty() {
            return Err(BadSmtpUrl("the host is missing".to_owned()));
        }
        let credentials = credentials(&url)?;
        let (standard_port, tls) = tls(&url, &host)?;
        let port = url.port().unwrap_or(standard_port);
        Ok(Server {
            host,
            port,
            tls,
            credentials,
            hello: ClientId::default(),
        })
    }

    /// A connection that has greeted, with TLS and signed in where the URL says so.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let socket: Box<dyn AsyncTokioStream> = Box::new(self.dial().await?);
        let stream = match &self.tls {
            Tls::Wrapper(tls) => Box::new(ImplicitTls::over(socket, tls.clone()).await?),
            Tls::None | Tls::Opportunistic(_) | Tls::Required(_) => socket,
        };
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?;
        match &self.tls {
            // Where STARTTLS is required and not offered, this fails.
            Tls::Required(tls) => connection.starttls(tls.clone(), &self.hello).await?,
            Tls::Opportunistic(tls) if connection.can_starttls() => {
                connection.starttls(tls.clone(), &self.hello).await?;
            }
            Tls::None | Tls::Opportunistic(_) | Tls::Wrapper(_) => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// A socket to the first of the host's addresses that answers. Without nodelay, the mail's last line
    /// waits for the acknowledgement of the one before, which the server delays by 40 ms.
    async fn dial(&self) -> Result<TcpStream, Trouble> {
        let mut trouble: Trouble = "the host has no address".into();
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    socket.set_nodelay(true)?;
                    return Ok(socket);
                }
                Ok(Err(error)) => trouble = format!("{address}: {error}").into(),
                Err(_) => trouble = format!("{address} did not answer within 10 s").into(),
            }
        }
        Err(trouble)
    }
}

/// The standard port, and how TLS begins.
fn tls(url: &Url, host: &str) -> Result<(u16, Tls), BadSmtpUrl> {
    let parameters =
        || TlsParameters::new(host.to_owned()).map_err(|error| BadSmtpUrl(format!("no TLS: {error}")));
    let options: Vec<_> = url.query_pairs().collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(key, value)| (&**key, &**value)).collect();
    match (url.scheme(), options.as_slice()) {
        ("smtp", [] | [("tls", "none")]) => Ok((smtp::SMTP_PORT, Tls::None)),
        ("smtp", [("tls", "opportunistic")]) => Ok((smtp::SMTP_PORT, Tls::Opportunistic(parameters()?))),
        ("smtp", [("tls", "required")]) => Ok((smtp::SMTP_PORT, Tls::Required(parameters()?))),
        ("smtps", []) => Ok((smtp::SUBMISSIONS_PORT, Tls::Wrapper(parameters()?))),
        ("smtp" | "smtps", _) => Err(BadSmtpUrl("the part after `?` is not known".to_owned())),
        _ => Err(BadSmtpUrl("the scheme is neither smtp nor smtps".to_owned())),
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, BadSmtpUrl> {
    let plain = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(plain) => Ok(plain.into_owned()),
        Err(_) => Err(BadSmtpUrl("user or password is not UTF-8".to_owned())),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(BadSmtpUrl("user and password go together".to_owned())),
        (user, Some(password)) => Ok(Some(Credentials::new(plain(user)?, plain(password)?))),
    }
}

/// TLS from the first byte (RFC 8314, 3.3). lettre offers that only on sockets it opens itself, so this
/// turns its encrypted stream, which speaks the futures traits, back into one it accepts.
#[derive(Debug)]
#[expect(deprecated, reason = "see the import")]
struct ImplicitTls {
    stream: AsyncNetworkStream,
    peer: SocketAddr,
}

#[expect(deprecated, reason = "see the import")]
impl ImplicitTls {
    async fn over(socket: Box<dyn AsyncTokioStream>, tls: TlsParameters) -> Result<ImplicitTls, Trouble> {
        let peer = socket.peer_addr()?;
        let mut stream = AsyncNetworkStream::use_existing_tokio1(socket);
        stream.upgrade_tls(tls).await?;
        Ok(ImplicitTls { stream, peer })
    }
}

impl AsyncTokioStream for ImplicitTls {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for ImplicitTls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer.initialize_unfilled()))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ImplicitTls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        let cases = [
            ("smtp://mail", "mail", 25, "None", false),
            ("smtp://mail/", "mail", 25, "None", false),
            ("smtp://mail:2525?tls=none", "mail", 2525, "None", false),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, "None", false),
            ("smtp://[::1]", "::1", 25, "None", false),
            ("smtp://u:p@mail?tls=required", "mail", 25, "Required", true),
            (
                "smtp://mail:587?tls=opportunistic",
                "mail",
                587,
                "Opportunistic",
                false,
            ),
            ("smtps://u:p@mail", "mail", 465, "Wrapper", true),
            ("smtps://mail:4650", "mail", 4650, "Wrapper", false),
        ];
        for (url, host, port, tls, signs_in) in cases {
            let server = Server::parse(url).unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
            assert_eq!(
                (format!("{:?}", server.tls).as_str(), server.credentials.is_some()),
                (tls, signs_in)
            );
        }
        let decoded = Server::parse("smtp://a%40b:p%2Fq%25%3A+%C3%BC@mail").unwrap();
        let expected = Credentials::new("a@b".to_owned(), "p/q%:+ü".to_owned());
        assert!(decoded.credentials == Some(expected));
    }

    #[test]
    fn a_bad_url_is_told_what_would_do_and_keeps_the_password_to_itself() {
        for url in [
            "",
            "mail",
            "mail:25",
            "http://mail",
            "smtp://",
            "smtp://:25",
            "smtp:mail",
            "smtp://mail:99999",
            "smtp://u:secret@",
            "smtp://u:secret@mail/path",
            "smtp://u:secret@mail#x",
            "smtp://u:secret@mail?tls=maybe",
            "smtp://u:secret@mail?x=y",
            "smtp://mail?tls=none&tls=required",
            "smtps://u:secret@mail?tls=none",
            "smtp://u@mail",
            "smtp://:secret@mail",
            "smtp://u:sec/ret@mail",
            "smtp://u:sec?ret@mail",
            "smtp://u:12?ret@mail",
            "smtp://u:%FF@mail",
        ] {
            let error = Server::parse(url)
                .err()
                .unwrap_or_else(|| panic!("{url}"))
                .to_string();
            assert!(
                error.contains("smtp://[user:password@]host") && !error.contains("ret"),
                "{url}: {error}"
            );
        }
    }
}
