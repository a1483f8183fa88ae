"""The only folder that talks to Azure: endpoints, credentials, requests, paging, decoding."""
