/** Ids of requests that are taken from clients; any other is replaced by a new one. */
export const REQUEST_ID = /^[\w.-]{1,64}$/;
