//! HTTP/1.x.

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
}
/// A response.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The reason.
    pub reason: &'a [u8],
}
