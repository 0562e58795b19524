/**
 * The environment of the browser.
 * @module
 */
import type { Environment } from '../role-config.ts';
import type { Browser } from './browser.ts';

/** Variables that these browsers read, but for those about the display: among them some that switch the sandbox off. */
const READ_BY_BROWSERS = /^(MOZ_|XRE_|NS_|CHROME_|CHROMIUM_|GOOGLE_|MIXSOCKS_)/;
const HARMLESS = /^(MOZ_ENABLE_WAYLAND|MOZ_USE_XINPUT2|MOZ_DISABLE_WAYLAND|MOZ_WEBRENDER|MOZ_X11_EGL)$/;
/** Proxies of other programs, and a file with the keys of all TLS connections. */
const OTHERS = /^((all|ftp|https?|no|socks|auto)_(proxy|server)|SOCKS_VERSION|SSLKEYLOGFILE)$/i;

/** `env` without what would change the browser, and with its temporary files in `temporary`. */
export function environmentFor(browser: Browser, env: Environment, temporary: string): Environment {
  const kept = Object.entries(env).filter(
    ([name]) => HARMLESS.test(name) || !(READ_BY_BROWSERS.test(name) || OTHERS.test(name)),
  );
  return { ...Object.fromEntries(kept), TMPDIR: temporary, ...browser.environment(temporary) };
}
