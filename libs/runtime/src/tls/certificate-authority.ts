import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import * as asn1 from '@peculiar/asn1-x509';

// Only `spanmesh certs` and tests use this file; no service makes certificates.

/** A certificate and its key, PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** The content of a certificate. */
export interface CertificateRequest {
  /** Its subject, for people. */
  readonly subject: string;
  /** DNS names and IP addresses for which it is valid. */
  readonly names: readonly string[];
  /** Roles in which its holder may use it in TLS. */
  readonly roles: readonly ('server' | 'client')[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** RFC 5758: ecdsa-with-SHA256. */
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
/** X.520: commonName. */
const COMMON_NAME = '2.5.4.3';
/** Random bytes of a serial number; RFC 5280, 4.1.2.2 demands a positive number of at most 20 bytes. */
const SERIAL_BYTES = 16;

/** A CA for one installation: it signs certificates for services and users, no other CAs. Keys are P-256. */
export class CertificateAuthority {
  readonly #certificate: X509Certificate;
  readonly #key: KeyObject;
  readonly #pem: Issued;

  /** `pem`: what `create` has made. @throws Error when key and certificate do not belong together. */
  constructor(pem: Issued) {
    this.#pem = pem;
    this.#certificate = new X509Certificate(pem.cert);
    this.#key = createPrivateKey(pem.key);
    if (!this.#certificate.checkPrivateKey(this.#key)) throw new Error('the key is not that of the certificate');
  }

  /** Makes a new CA. */
  static create({ subject, notBefore, notAfter }: Omit<CertificateRequest, 'names' | 'roles'>): CertificateAuthority {
    const { publicKey, privateKey } = newKey();
    const extensions = [
      extension(asn1.id_ce_basicConstraints, new asn1.BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
      extension(
        asn1.id_ce_keyUsage,
        new asn1.KeyUsage(asn1.KeyUsageFlags.keyCertSign | asn1.KeyUsageFlags.cRLSign),
        true,
      ),
      extension(asn1.id_ce_subjectKeyIdentifier, new asn1.SubjectKeyIdentifier(keyId(publicKey))),
    ];
    const cert = signed({ subject, issuer: nameOf(subject), notBefore, notAfter, publicKey, extensions }, privateKey);
    return new CertificateAuthority({ cert, key: pemOf(privateKey) });
  }

  get pem(): Issued {
    return this.#pem;
  }

  /** Makes a certificate for a new key. */
  issue({ subject, names, roles, notBefore, notAfter }: CertificateRequest): Issued {
    const { publicKey, privateKey } = newKey();
    const issuer = AsnConvert.parse(this.#certificate.raw, asn1.Certificate).tbsCertificate.subject;
    const purposes = roles.map((role) => (role === 'server' ? asn1.id_kp_serverAuth : asn1.id_kp_clientAuth));
    const authority = new asn1.KeyIdentifier(keyId(this.#certificate.publicKey));
    const extensions = [
      extension(asn1.id_ce_basicConstraints, new asn1.BasicConstraints({ cA: false }), true),
      extension(asn1.id_ce_keyUsage, new asn1.KeyUsage(asn1.KeyUsageFlags.digitalSignature), true),
      extension(asn1.id_ce_extKeyUsage, new asn1.ExtendedKeyUsage(purposes)),
      extension(asn1.id_ce_subjectAltName, new asn1.SubjectAlternativeName(names.map(generalName))),
      extension(asn1.id_ce_subjectKeyIdentifier, new asn1.SubjectKeyIdentifier(keyId(publicKey))),
      extension(asn1.id_ce_authorityKeyIdentifier, new asn1.AuthorityKeyIdentifier({ keyIdentifier: authority })),
    ];
    const cert = signed({ subject, issuer, notBefore, notAfter, publicKey, extensions }, this.#key);
    return { cert, key: pemOf(privateKey) };
  }
}

interface ToSign {
  readonly subject: string;
  readonly issuer: asn1.Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
  readonly extensions: readonly asn1.Extension[];
}

function signed({ subject, issuer, notBefore, notAfter, publicKey, extensions }: ToSign, key: KeyObject): string {
  const signature = new asn1.AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and without a leading zero byte.
  serial.writeUInt8((serial.readUInt8() & 0x7f) | 0x40);
  const tbsCertificate = new asn1.TBSCertificate({
    version: asn1.Version.v3,
    serialNumber: bytes(serial),
    signature,
    issuer,
    validity: new asn1.Validity({ notBefore, notAfter }),
    subject: nameOf(subject),
    subjectPublicKeyInfo: AsnConvert.parse(spki(publicKey), asn1.SubjectPublicKeyInfo),
    extensions: new asn1.Extensions([...extensions]),
  });
  const signatureValue = bytes(sign('sha256', new Uint8Array(AsnConvert.serialize(tbsCertificate)), key));
  const certificate = new asn1.Certificate({ tbsCertificate, signatureAlgorithm: signature, signatureValue });
  return new X509Certificate(new Uint8Array(AsnConvert.serialize(certificate))).toString();
}

function extension(id: string, value: unknown, critical = false): asn1.Extension {
  return new asn1.Extension({ extnID: id, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf(commonName: string): asn1.Name {
  const value = new asn1.AttributeValue({ utf8String: commonName });
  return new asn1.Name([
    new asn1.RelativeDistinguishedName([new asn1.AttributeTypeAndValue({ type: COMMON_NAME, value })]),
  ]);
}

function generalName(name: string): asn1.GeneralName {
  return isIP(name) === 0 ? new asn1.GeneralName({ dNSName: name }) : new asn1.GeneralName({ iPAddress: name });
}

function newKey(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** RFC 5280, 4.2.1.2: SHA-1 of the public key. It only identifies the key, so SHA-1 need not be secure here. */
function keyId(publicKey: KeyObject): ArrayBuffer {
  const { subjectPublicKey } = AsnConvert.parse(spki(publicKey), asn1.SubjectPublicKeyInfo);
  return bytes(createHash('sha1').update(new Uint8Array(subjectPublicKey)).digest());
}

function bytes(buffer: Uint8Array): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}
