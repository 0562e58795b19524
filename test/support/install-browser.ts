/** Run before the tests that need a browser. */
import { installBrowsers } from './installed-browsers.ts';

installBrowsers();
