// What a policy sees of a client's certificate. Plain, frozen data: runs anywhere.

/** The subject alternative names of a certificate, as they stand in it. Other kinds of names are left out. */
export interface AlternativeNames {
  readonly dns: readonly string[]
  /** In the one normal form: dotted quad, or RFC 5952 lower case. */
  readonly ip: readonly string[]
  readonly email: readonly string[]
  /** SPIFFE ids are here: `spiffe://trust-domain/path`. */
  readonly uri: readonly string[]
}

/**
 * A certificate that a client presented. Who signed it, and so whether anything in it is true, is another question:
 * see `verified`.
 *
 * **Gotcha**: allow by what is in it, never deny: the alternative names stop at 1,000, all kinds together.
 */
export interface ClientCertificate {
  /** RFC 4514, as `openssl x509 -subject -nameopt RFC2253,-esc_msb,utf8` writes it: `CN=amy,OU=db,O=Example`. Empty when there is none. */
  readonly subject: string
  /** Who signed it, in the same form. */
  readonly issuer: string
  /** The last CN of the subject, without escapes. */
  readonly commonName: string | undefined
  readonly sans: AlternativeNames
  /** Lower case hexadecimal. */
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256 of the certificate in lower case hexadecimal, without colons. */
  readonly fingerprint: string
}
