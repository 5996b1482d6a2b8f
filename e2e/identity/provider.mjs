// A certified OpenID Connect provider with the clients that the end-to-end tests play: three programs, which get their
// tokens for a secret, and the librarian's page, which logs people in.
//
//   node provider.mjs DIR [PORT [KEY-ID]]
//
// It makes new keys at each start. It writes DIR/signing-key.pem, so that a test can forge tokens that only a rule can tell from
// good ones, and DIR/stranger-key.pem, a key that it tells nobody of.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const [directory, port = '0', kid = 'signing'] = process.argv.slice(2);
// A page on this machine may be at any port (RFC 8252, section 7.3).
const PAGE = 'http://127.0.0.1/';
const RESOURCE = 'urn:bookstock';
const SCOPES = 'books:read books:write ops';

const [signing] = ['signing', 'stranger'].map((name) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(`${directory}/${name}-key.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return privateKey;
});
const signingKey = { ...signing.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' };
// Nothing is signed with it. Who verifies by it should not take its public half for a shared secret.
const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsaKey = { ...rsa.export({ format: 'jwk' }), kid: `${kid}-rsa`, use: 'sig', alg: 'RS256' };

const program = (name, scope) => ({
  client_id: name,
  client_secret: `${name}-secret`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope,
});

const clients = [
  program('reader', 'books:read'),
  program('librarian', 'books:read books:write'),
  program('operator', 'ops'),
  {
    client_id: 'bookstock-page',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [PAGE],
    post_logout_redirect_uris: [PAGE],
    response_types: ['code'],
    scope: `openid ${SCOPES}`,
    application_type: 'native',
  },
];

const configuration = {
  clients,
  jwks: { keys: [signingKey, rsaKey] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  scopes: ['openid', ...SCOPES.split(' ')],
  clientBasedCORS: () => true,
  issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: SCOPES,
        audience: 'bookstock',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
};

const server = createServer();
server.listen(Number(port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(issuer, configuration).callback());
  console.log(`identity listening on ${issuer}`);
});
