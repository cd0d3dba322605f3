// The one header that an access token may have.

/// The JOSE header (RFC 7515 section 4) of our tokens: `{"alg":"ES256","kid":"…","typ":"at+jwt"}`.
///
/// Nobody else makes these tokens, so the header of a good one is known to the byte once the key is. A verifier compares
/// instead of parsing: another algorithm, `none`, an embedded `jwk` or `jku`, `crit`, another `typ` or an unknown `kid`
/// are all simply not one of the headers it knows. Members are in lexical order, as in a thumbprint.
enum TokenHeader {
  static func encoded(keyID: String) -> String {
    Base64URL.encode(#"{"alg":"ES256","kid":"\#(keyID)","typ":"at+jwt"}"#.utf8)
  }
}
