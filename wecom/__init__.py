"""The only folder that knows WeCom and wechatpy: envelopes, events, commands, the gateway and its errors."""
