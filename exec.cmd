@rem For `npm start` on Windows: see cli/start.mjs.
@%*
