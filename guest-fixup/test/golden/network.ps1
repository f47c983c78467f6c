# Written by Slipway: the static addresses of this machine's old network adapters, for its new ones.
$ErrorActionPreference = 'Stop'
$failed = 0

function Find-Adapter($mac) {
    for ($try = 0; $try -lt 150; $try++) {
        $found = @(Get-NetAdapter -ErrorAction SilentlyContinue | Where-Object { $_.MacAddress -eq $mac })
        if ($found.Count -gt 0) { return $found[0] }
        Start-Sleep -Seconds 2
    }
}

try {
    $adapter = Find-Adapter '52-54-00-12-34-56'
    if (-not $adapter) {
        throw 'no adapter with this address has come up'
    } elseif ($adapter.InterfaceGuid -eq '{58094C24-B1BD-4961-8C68-7C13F7A6213C}') {
        Write-Output '52-54-00-12-34-56: Windows took it for the old adapter, whose settings it has'
    } else {
        if ($adapter.InterfaceGuid -ne '{58094C24-B1BD-4961-8C68-7C13F7A6213C}') {
            Start-Process -Wait "$env:SystemRoot\regedit.exe" -ArgumentList '/s', "$env:SystemRoot\slipway\FirstBoot\files\remove.reg"
        }
        $index = $adapter.ifIndex
        Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -Dhcp Disabled
        Get-NetIPAddress -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue | Remove-NetIPAddress -Confirm:$false
        Get-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -ErrorAction SilentlyContinue | Remove-NetRoute -Confirm:$false
        New-NetIPAddress -InterfaceIndex $index -IPAddress '10.0.0.5' -PrefixLength 24 | Out-Null
        New-NetIPAddress -InterfaceIndex $index -IPAddress '10.9.0.5' -PrefixLength 16 | Out-Null
        New-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -NextHop '10.0.0.1' -RouteMetric 10 | Out-Null
        Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses @('10.0.0.53', '10.0.0.54')
        Set-DnsClient -InterfaceIndex $index -ConnectionSpecificSuffix 'example.org'
        Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -InterfaceMetric 20
        netsh interface ipv4 add winsservers $index 10.0.0.60
        Get-CimInstance Win32_NetworkAdapterConfiguration -Filter "InterfaceIndex=$index" | Invoke-CimMethod -MethodName SetTcpipNetbios -Arguments @{TcpipNetbiosOptions=[uint32]2} | Out-Null
        Write-Output '52-54-00-12-34-56: done'
    }
} catch {
    Write-Output "52-54-00-12-34-56: $_"
    $failed = 1
}

exit $failed
