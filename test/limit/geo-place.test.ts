import { expect, test } from "bun:test"
import { GeoDatabase } from "../../src/limit/geo-database.ts"
import { mergedPlaces, placeIn } from "../../src/limit/geo-place.ts"
import { parseIp, type Ip } from "../../src/policy/address.ts"
import { mmdb } from "../helper/mmdb.ts"

const ip = (text: string): Ip => parseIp(text)!
const NOWHERE = placeIn(undefined)

test("a database tells all that it has of a place", () => {
  const record = {
    city: { names: { de: "München", en: "Munich" } },
    continent: { code: "EU", names: { en: "Europe" } },
    country: { iso_code: "DE", is_in_european_union: true, names: { en: "Germany" } },
    location: { accuracy_radius: 20, metro_code: 7, time_zone: "Europe/Berlin" },
    postal: { code: "80331" },
    registered_country: { iso_code: "US", names: { en: "United States" } },
    subdivisions: [{ names: { en: "Bavaria" } }, { names: { en: "Upper Bavaria" } }],
    traits: { autonomous_system_number: 3320, autonomous_system_organization: "Deutsche Telekom AG" },
  }
  const database = new GeoDatabase("/geo/a.mmdb", mmdb({ type: "GeoIP2-City", networks: { "192.0.2.0/24": record } }))
  expect(database.place(ip("192.0.2.1"))).toEqual({
    asn: 3320,
    city: "Munich",
    continent: "Europe",
    country: "Germany",
    countryCode: "DE",
    isEu: true,
    latitude: undefined,
    longitude: undefined,
    metroCode: 7,
    organisation: "Deutsche Telekom AG",
    postalCode: "80331",
    radius: 20,
    registered: { continent: undefined, country: "United States", countryCode: "US", isEu: false },
    subdivision: "Bavaria",
    timezone: "Europe/Berlin",
  })
  expect(database.place(ip("192.0.3.1"))).toBeUndefined()
})

test("values of the wrong kind are not there", () => {
  const wrong = { city: 1, country: "DE", location: [], subdivisions: {}, registered_country: { iso_code: 5 } }
  const registered = { continent: undefined, country: undefined, countryCode: undefined, isEu: false }
  expect(placeIn(wrong)).toEqual({ ...NOWHERE, isEu: false, registered })
})

test("later databases add what earlier ones do not have", () => {
  const city = { ...NOWHERE, city: "Munich", latitude: 48 }
  const network = { ...NOWHERE, city: "Berlin", asn: 1 }
  expect(mergedPlaces([city, undefined, network])).toEqual({ ...NOWHERE, city: "Munich", latitude: 48, asn: 1 })
  expect(mergedPlaces([undefined])).toBeUndefined()
})
