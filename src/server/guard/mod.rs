pub mod bind {
    pub fn check(_: std::net::SocketAddr, _: Option<&str>) -> Result<(), std::io::Error> {
        Ok(())
    }
}
pub mod headers {
    pub fn csp(_: Option<&str>) -> axum::http::HeaderValue {
        axum::http::HeaderValue::from_static("default-src 'self'")
    }
}
pub struct GuardConfig {
    pub addr: std::net::SocketAddr,
    pub allow_hosts: Vec<String>,
    pub token: Option<String>,
}
pub struct Guard;
impl Guard {
    pub fn new(_: GuardConfig) -> Self {
        Guard
    }
}
pub fn protect(router: axum::Router, _: std::sync::Arc<Guard>) -> axum::Router {
    router
}
