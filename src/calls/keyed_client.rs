//! The client of server functions that change something: it sends the key of the session, which other ports of the host
//! do not get.

use std::future::Future;

use leptos::server_fn::Bytes;
use leptos::server_fn::client::Client;
use leptos::server_fn::client::browser::BrowserClient;
use leptos::server_fn::request::browser::BrowserRequest;
use leptos::server_fn::response::browser::BrowserResponse;

use crate::browser::login_key;

/// See `http/guard/credential.rs`.
const KEY_HEADER: &str = "X-Runtrail-Key";

/// The browser's `fetch`, with the key of the session.
pub struct KeyedClient;

impl<E, I, O> Client<E, I, O> for KeyedClient
where
    BrowserClient: Client<E, I, O, Request = BrowserRequest, Response = BrowserResponse>,
    BrowserRequest: leptos::server_fn::request::ClientReq<E>,
    BrowserResponse: leptos::server_fn::response::ClientRes<E>,
{
    type Request = BrowserRequest;
    type Response = BrowserResponse;

    fn send(request: BrowserRequest) -> impl Future<Output = Result<BrowserResponse, E>> + Send {
        if let Some(key) = login_key() {
            request.headers().set(KEY_HEADER, &key);
        }
        <BrowserClient as Client<E, I, O>>::send(request)
    }

    fn open_websocket(
        path: &str,
    ) -> impl Future<
        Output = Result<
            (
                impl futures::Stream<Item = Result<Bytes, Bytes>> + Send + 'static,
                impl futures::Sink<Bytes> + Send + 'static,
            ),
            E,
        >,
    > + Send {
        <BrowserClient as Client<E, I, O>>::open_websocket(path)
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        <BrowserClient as Client<E, I, O>>::spawn(future);
    }
}
